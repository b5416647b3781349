//! The harness judges a toy store: it writes everything to a new file and renames it.

use fastness_crashkit::{Access, SimFs};
use foreign_harness::{
    Answer, Attack, CHECKS, Contents, Database, Edit, End, Engine, Kind, Refused, Report, Snapshot,
    attack, replay,
};
use std::io;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "/sim/toy";
const NEW: &str = "/sim/toy-new";

/// A mistake of the toy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The new file is renamed before it is durable.
    FileUnsynced,
    /// The rename is not made durable.
    NameUnsynced,
    /// A commit without edits is refused.
    EmptyRefused,
    /// A removal says that the key did not exist.
    RemovalDenied,
    /// A compaction panics.
    CompactionPanics,
}

struct Toy(Mistake);

struct ToyDatabase {
    mistake: Mistake,
    fs: SimFs,
    contents: Contents,
}

struct ToySnapshot(Contents);

fn text(error: io::Error) -> Refused {
    error.to_string()
}

fn decode(mut bytes: &[u8]) -> Contents {
    let mut next = || {
        let (len, rest) = bytes.split_at_checked(4)?;
        let len = u32::from_le_bytes(len.try_into().ok()?);
        let (item, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        bytes = rest;
        Some(item.to_vec())
    };
    let mut contents = Contents::new();
    while let (Some(tree), Some(key), Some(value)) = (next(), next(), next()) {
        contents.entry(String::from_utf8_lossy(&tree).into_owned()).or_default().push((key, value));
    }
    contents
}

fn encode(contents: &Contents) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tree, entries) in contents {
        for (key, value) in entries {
            for item in [tree.as_bytes(), key, value] {
                bytes.extend(u32::try_from(item.len()).expect("items are short").to_le_bytes());
                bytes.extend(item);
            }
        }
    }
    bytes
}

impl Engine for Toy {
    fn name(&self) -> String {
        "toy 1".to_owned()
    }

    fn open(&self, fs: &SimFs) -> Result<Box<dyn Database>, Refused> {
        let contents = match fs.open(Path::new(FILE), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::new(),
            Err(error) => return Err(text(error)),
            Ok(file) => {
                let mut bytes =
                    vec![0; usize::try_from(file.len().map_err(text)?).expect("files are short")];
                file.read_at(&mut bytes, 0).map_err(text)?;
                decode(&bytes)
            }
        };
        // A power loss must not lose the contents that a reader sees.
        fs.sync_dir(Path::new(FILE)).map_err(text)?;
        Ok(Box::new(ToyDatabase { mistake: self.0, fs: fs.clone(), contents }))
    }
}

impl ToyDatabase {
    fn save(&self, contents: &Contents) -> io::Result<()> {
        let (new, file) = (Path::new(NEW), Path::new(FILE));
        if self.fs.exists(new)? {
            self.fs.remove(new)?;
        }
        let written = self.fs.open(new, Access::CreateNew)?;
        written.write_at(&encode(contents), 0)?;
        if self.mistake != Mistake::FileUnsynced {
            written.sync()?;
        }
        self.fs.rename(new, file)?;
        match self.mistake {
            Mistake::NameUnsynced => Ok(()),
            _ => self.fs.sync_dir(file),
        }
    }

    fn apply(&self, contents: &mut Contents, edit: &Edit) -> Answer {
        let find = |contents: &Contents, tree: &String, key: &[u8]| {
            let entries = contents.get(tree).map_or(&[][..], Vec::as_slice);
            entries.binary_search_by(|(other, _)| other[..].cmp(key))
        };
        match edit {
            Edit::Insert(tree, key, value) => {
                let at = find(contents, tree, key);
                let entries = contents.entry(tree.clone()).or_default();
                match at {
                    Ok(at) => entries[at].1 = value.to_vec(),
                    Err(at) => entries.insert(at, (key.to_vec(), value.to_vec())),
                }
                Answer::Existed(at.is_ok())
            }
            Edit::Remove(tree, key) => {
                let at = find(contents, tree, key);
                if let Ok(at) = at {
                    contents.get_mut(tree).expect("the key is in it").remove(at);
                }
                Answer::Existed(at.is_ok() && self.mistake != Mistake::RemovalDenied)
            }
            Edit::Clear(tree) => {
                contents.remove(tree);
                Answer::Done
            }
            Edit::Get(tree, key) => {
                let at = find(contents, tree, key).ok();
                Answer::Value(at.map(|at| contents[tree][at].1.clone()))
            }
        }
    }
}

impl Database for ToyDatabase {
    fn transact(&mut self, edits: &[Edit], end: End) -> Result<Vec<Answer>, Refused> {
        if edits.is_empty() && self.mistake == Mistake::EmptyRefused {
            return Err("nothing to do".to_owned());
        }
        let mut contents = self.contents.clone();
        let answers = edits.iter().map(|edit| self.apply(&mut contents, edit)).collect();
        if end != End::Abort {
            self.save(&contents).map_err(text)?;
            self.contents = contents;
        }
        Ok(answers)
    }

    fn contents(&self) -> Result<Contents, Refused> {
        Ok(self.contents.clone())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Refused> {
        Ok(Box::new(ToySnapshot(self.contents.clone())))
    }

    fn compact(&mut self) -> Result<(), Refused> {
        assert!(self.mistake != Mistake::CompactionPanics, "the toy falls over");
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Refused> {
        Ok(())
    }
}

impl Snapshot for ToySnapshot {
    fn contents(&self) -> Result<Contents, Refused> {
        Ok(self.0.clone())
    }
}

fn limits(seed: u64) -> Attack {
    let checks = CHECKS.map(str::to_owned).to_vec();
    Attack { seed, cpu: Duration::MAX, plans_max: 60, checks, ignore: Vec::new() }
}

fn attacked(mistake: Mistake) -> Report {
    let limits = limits(1);
    attack(&Toy(mistake), &limits, &mut |_, _| {})
}

#[test]
fn a_right_store_passes() {
    let mut begun = Vec::new();
    let limits = limits(5);
    let mut begin = |check: &str, seed| begun.push(format!("{check}:{seed}"));
    let report = attack(&Toy(Mistake::None), &limits, &mut begin);
    assert_eq!(report.finding, None);
    assert_eq!((report.plans, &*begun[0], &*begun[5]), (60, "crash:5", "unsynced:6"));
    assert!(report.crashes > 1000 && report.operations > 1000, "{report:?}");
}

#[test]
fn each_mistake_is_found_with_a_short_plan_that_replays() {
    for (mistake, kind) in [
        (Mistake::FileUnsynced, Kind::Lost),
        (Mistake::NameUnsynced, Kind::Lost),
        (Mistake::EmptyRefused, Kind::Refused),
        (Mistake::RemovalDenied, Kind::Wrong),
        (Mistake::CompactionPanics, Kind::Panicked),
    ] {
        let report = attacked(mistake);
        let finding = report.finding.unwrap();
        assert_eq!(finding.kind, kind, "{finding}");
        let plan = report.plan.unwrap();
        assert!(plan.steps.len() <= 6 && plan.steps_before >= 20, "{plan:?}");
        let bytes: Vec<u8> = (0..plan.bytes.len() / 2)
            .map(|at| u8::from_str_radix(&plan.bytes[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let again = replay(&Toy(mistake), &plan.check, &bytes).unwrap_err();
        assert_eq!(again, finding);
        assert_eq!(replay(&Toy(Mistake::None), &plan.check, &bytes), Ok(()));
    }
}

#[test]
fn ignored_kinds_are_counted_and_hide_no_others() {
    let limits = Attack { ignore: vec![Kind::Refused], ..limits(1) };
    let report = attack(&Toy(Mistake::EmptyRefused), &limits, &mut |_, _| {});
    assert_eq!((report.finding, report.plans), (None, 60));
    assert!(report.ignored > 10, "{}", report.ignored);
    let report = attack(&Toy(Mistake::NameUnsynced), &limits, &mut |_, _| {});
    assert_eq!(report.finding.map(|finding| finding.kind), Some(Kind::Lost));
}
