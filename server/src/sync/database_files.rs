//! The file of a database path.
//!
//! - H28 A path has one file, and a file one path: folders end in `.d`, files in `.fastness`, and
//!   an upper-case letter is `+` and the lower-case one, for file systems that ignore case.

use fastness_auth::server::DatabasePath;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the databases in the data folder.
pub(crate) const DATABASES_FOLDER: &str = "databases";

/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 255;

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

/// Creates the folders of a file for their owner only, durably.
pub(super) fn create_folders(file: &Path, root: &Path) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    if folder.is_dir() {
        return Ok(());
    }
    if folder != root {
        create_folders(folder, root)?;
    }
    match crate::data::private_builder().create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn encode(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    for letter in segment.chars() {
        if letter.is_ascii_uppercase() {
            name.push('+');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn folders_are_created_once() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("databases");
        let file = root.join("i.d/j.d/notes.fastness");
        for _ in 0..2 {
            create_folders(&file, &root).unwrap();
        }
        assert!(file.parent().unwrap().is_dir());
    }
}
