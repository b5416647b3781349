//! The file of a database path.
//!
//! - H28 A path has one file, and a file one path: folders end in `.d`, files in `.fastness`, and
//!   an upper-case letter is `+` and the lower-case one, for file systems that ignore case.

use crate::fault;
use fastness_auth::server::DatabasePath;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the databases in the data folder.
pub(crate) const DATABASES_FOLDER: &str = "databases";

/// Longest name of a file, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// Returns the path of the file below `folder`; `None` if a name in it is too long.
pub(super) fn file_of(folder: &Path, path: &DatabasePath) -> Option<PathBuf> {
    let mut file = folder.to_path_buf();
    let mut segments = path.as_str().split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let end = if segments.peek().is_some() { ".d" } else { ".fastness" };
        let name = encode(segment) + end;
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        file.push(name);
    }
    Some(file)
}

/// Returns the paths of the files below a folder. Other files are ignored.
pub(super) fn paths_below(folder: &Path) -> io::Result<Vec<DatabasePath>> {
    let mut paths = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(segment) = name.strip_suffix(".d").and_then(decode) {
                folders.push((entry.path(), format!("{prefix}/{segment}")));
            } else if let Some(segment) = name.strip_suffix(".fastness").and_then(decode) {
                paths.extend(DatabasePath::resolve(&format!("{prefix}/{segment}"), ""));
            }
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn encode(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    for letter in segment.chars() {
        if letter.is_ascii_uppercase() && !fault::on("NS-12") {
            name.push('+');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn decode(name: &str) -> Option<String> {
    let mut segment = String::with_capacity(name.len());
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        segment.push(match letter {
            '+' => letters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase(),
            letter => Some(letter).filter(|letter| !letter.is_ascii_uppercase())?,
        });
    }
    Some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::create_private_folders;
    use std::collections::BTreeSet;

    fn file(path: &str) -> Option<String> {
        let path = DatabasePath::resolve(path, "i").unwrap();
        let file = file_of(Path::new("f"), &path);
        file.map(|file| file.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_path_has_one_file_also_where_case_is_ignored() {
        assert_eq!(file("/~/notes").as_deref(), Some("f/i.d/notes.fastness"));
        assert_eq!(file("/i/Notes").as_deref(), Some("f/i.d/+notes.fastness"));
        let paths = ["/a", "/A", "/a/b", "/a.d/b", "/a.fastness", "/a.fastness/b", "/aB", "/ab"];
        let files: BTreeSet<_> = paths.into_iter().map(file).collect();
        assert_eq!(files.len(), paths.len(), "H28");
        assert_eq!(file(&format!("/{}", "a".repeat(247))), None);
        assert_eq!(file(&format!("/{}/a", "a".repeat(254))), None);
    }

    #[test]
    fn folders_are_created_once_and_their_files_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("databases");
        let file = root.join("i.d/j.d/notes.fastness");
        for _ in 0..2 {
            create_private_folders(file.parent().unwrap()).unwrap();
        }
        assert!(file.parent().unwrap().is_dir());
        for name in ["i.d/j.d/notes.fastness", "+a.fastness", "x+.fastness", "B.fastness", "log"] {
            fs::write(root.join(name), "").unwrap();
        }
        let paths = paths_below(&root).unwrap();
        let paths: Vec<_> = paths.iter().map(DatabasePath::as_str).collect();
        assert_eq!(paths, ["/A", "/i/j/notes"], "H28");
        assert!(paths_below(&root.join("none")).unwrap().is_empty());
    }
}
