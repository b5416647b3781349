//! Entries that no client writes: any operations with any names, keys and values.
//!
//! - SY15 Applying any entry is total: the replica answers, and its file stays whole.

use super::pair::{NOW, USER, open};
use crate::merge::EFFORT;
use fastness::StoreOptions;
use fastness::vfs::MemoryVfs;
use fastness_models::merge::behaviours::Random;
use fastness_sync::entry::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value, encode,
};
use fastness_sync::server::{
    Access, Answer, ClientProgress, DownloadRequest, ServerReplica, Submission,
};
use std::sync::Arc;

/// Names, most of which are those of classes and properties.
const NAMES: [&str; 12] =
    ["a", "b", "c", "a", "b", "c", "", "id", "a/b", "\0", "main/schema", LONG_NAME];
const LONG_NAME: &str =
    "a name of more than fifty-seven or sixty-three bytes, which some tables refuse";
const TEXTS: [&str; 4] = ["", "k", "\u{10ffff}\0", LONG_NAME];
const NUMBERS: [u64; 6] = [0, 1, 2, 3, u64::MAX - 1, u64::MAX];

/// Draws parts of entries.
struct Hostile(Random);

impl Hostile {
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.0.below(all.len() as u64)).unwrap()]
    }

    fn name(&mut self) -> &'static str {
        // An empty name cannot be encoded.
        match self.of(&NAMES) {
            "" => "d",
            name => name,
        }
    }

    fn int(&mut self) -> i64 {
        self.of(&[0, 1, 2, -1, i64::MIN, i64::MAX])
    }

    fn element(&mut self) -> ElementId {
        let number = match self.0.below(8) {
            0 => self.of(&NUMBERS),
            _ => self.0.below(12),
        };
        ElementId { author: self.of(&[0, 0, 0, 1, 2, u32::MAX]), number }
    }

    fn key(&mut self) -> Key<'static> {
        match self.0.below(8) {
            0 => Key::Null,
            1 => Key::String(self.of(&TEXTS)),
            2 => Key::Generated(self.element()),
            3 => Key::Int(self.int()),
            _ => Key::Int(self.0.below(2).cast_signed()),
        }
    }

    fn target(&mut self) -> ObjectRef<'static> {
        ObjectRef { class: self.name(), key: self.key() }
    }

    fn scalar(&mut self) -> Scalar {
        use ScalarType::{Binary, Bool, Double, Float, Int, String, Timestamp};
        let kind = self.of(&[Int, Bool, String, Binary, Timestamp, Float, Double]);
        Scalar { kind, nullable: self.0.below(2) == 0 }
    }

    fn kind(&mut self) -> PropertyType<'static> {
        match self.0.below(5) {
            0 => PropertyType::Scalar(self.scalar()),
            1 => PropertyType::Counter,
            2 => PropertyType::Link(self.name()),
            3 => PropertyType::LinkList(self.name()),
            _ => PropertyType::List(self.scalar()),
        }
    }

    fn value(&mut self) -> Value<'static> {
        match self.0.below(10) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Int(self.int()),
            3 => Value::Float(f32::NAN),
            4 => Value::Double(-0.0),
            5 => Value::String(self.of(&TEXTS)),
            6 => Value::Binary(&[0; 300]),
            7 => Value::Timestamp { seconds: self.int(), nanoseconds: self.of(&[0, 999_999_999]) },
            _ => Value::Link(self.target()),
        }
    }

    fn anchor(&mut self) -> Anchor {
        match self.0.below(3) {
            0 => Anchor::Head,
            1 => Anchor::After(self.element()),
            _ => Anchor::Before(self.element()),
        }
    }

    fn change(&mut self) -> Change<'static> {
        let element = self.element();
        match self.0.below(8) {
            0 | 1 => Change::Set(self.value()),
            2 => Change::Increment(self.int()),
            3 => Change::ListSet { element, value: self.value() },
            4 => Change::ListRemove { element },
            5 => Change::ListMove { element, anchor: self.anchor() },
            _ => Change::ListInsert { element, anchor: self.anchor(), value: self.value() },
        }
    }

    fn operation(&mut self) -> Operation<'static> {
        match self.0.below(12) {
            0 | 1 => {
                let (is_string, nullable) = (self.0.below(4) == 0, self.0.below(2) == 0);
                let key = PrimaryKey { property: self.name(), is_string, nullable };
                let primary_key = Some(key).filter(|_| self.0.below(4) > 0);
                Operation::AddClass { class: self.name(), primary_key }
            }
            2 | 3 => Operation::AddProperty {
                class: self.name(),
                property: self.name(),
                kind: self.kind(),
            },
            4 | 5 => Operation::Create(self.target()),
            6 => Operation::Delete(self.target()),
            _ => Operation::Change {
                target: self.target(),
                property: self.name(),
                change: self.change(),
            },
        }
    }
}

fn submit(replica: &ServerReplica, hostile: &mut Hostile, last: &mut [u64; 2]) -> Answer {
    let status = replica.status().unwrap();
    let at = usize::try_from(hostile.0.below(2)).unwrap();
    last[at] += 1;
    let base = status.horizon.max(status.head.saturating_sub(hostile.0.below(4)));
    let header = Header { client_seq: last[at], base, stamp: hostile.of(&NUMBERS) };
    let operations = (0..=hostile.0.below(6)).map(|_| hostile.operation()).collect();
    let entry = encode(&Entry { header, operations }).unwrap();
    let client = u32::try_from(at).unwrap() + 1;
    let entries: &[&[u8]] = &[&entry];
    let submission = Submission { client, access: Access::Write, entries, oldest_base: base };
    let answers = replica.submit(&submission, NOW).unwrap();
    if answers == [Answer::Stopped(fastness_sync::server::UploadStop::Base)] {
        last[at] -= 1;
    }
    answers[0]
}

fn run(seed: u64) -> usize {
    let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
    let (store, replica) = open(&options);
    let mut hostile = Hostile(Random::new(seed));
    let mut last = [0; 2];
    let mut sequenced = 0;
    for _ in 0..2 {
        replica.identify(USER, 1, 1).unwrap();
    }
    for _ in 0..60 {
        let answer = submit(&replica, &mut hostile, &mut last);
        sequenced += usize::from(matches!(answer, Answer::Sequenced { .. }));
        if hostile.0.below(12) == 0 {
            let cursor = replica.status().unwrap().head;
            for client in [1, 2] {
                let progress = ClientProgress { cursor, oldest_base: cursor };
                replica.progress(client, progress, 1).unwrap();
            }
            replica.advance_horizon(1, 1).unwrap();
            while replica.compact(3).unwrap() {}
        }
    }
    let status = replica.status().unwrap();
    let request =
        DownloadRequest { client: 1, from: status.horizon, full: 0..=0, bytes_max: 1 << 20 };
    assert_eq!(replica.download(&request).unwrap().unwrap().to, status.head, "SY15");
    let verification = store.snapshot().verify().unwrap();
    assert!(verification.problems.is_empty(), "SY15: {:?}", verification.problems);
    assert!(verification.objects.is_empty(), "SY15: {:?}", verification.objects);
    sequenced
}

#[test]
fn any_operations_leave_the_file_whole() {
    let sequenced: usize = (1..=200 * *EFFORT).map(run).sum();
    assert!(sequenced > 4000, "{sequenced}");
}
