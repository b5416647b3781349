//! The explorer finds the classical mistakes of programs that write files, and no others.

use fastness_crashkit::crash::{Effort, Explorer, Lost, Program, Recovery};
use fastness_crashkit::oracle::Prefix;
use fastness_crashkit::{Access, Disk, Fault, Injection, SimFile, SimFs};
use std::path::Path;

const FILE: &str = "/sim/pair";
/// Where the second of two numbers is: on another sector.
const SECOND: u64 = 512;

/// A mistake of a program that keeps two equal numbers in a file, with a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mistake {
    None,
    /// The numbers are written before the journal is durable.
    JournalUnsynced,
    /// The journal is emptied before the numbers are durable.
    NumbersUnsynced,
    /// A recovery empties the journal before the numbers that it wrote are durable.
    RecoveryUnsynced,
}

struct Pair(Mistake);

fn journal(fs: &SimFs) -> std::io::Result<SimFile> {
    open(fs, "/sim/journal")
}

fn open(fs: &SimFs, path: &str) -> std::io::Result<SimFile> {
    let path = Path::new(path);
    match fs.open(path, Access::ReadWrite) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let file = fs.open(path, Access::CreateNew)?;
            fs.sync_dir(path)?;
            Ok(file)
        }
        opened => opened,
    }
}

fn number(file: &SimFile, offset: u64) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_at(&mut bytes, offset)?;
    Ok(u64::from_le_bytes(bytes))
}

fn put(file: &SimFile, offset: u64, number: u64) -> std::io::Result<()> {
    file.write_at(&number.to_le_bytes(), offset).map(drop)
}

impl Pair {
    fn create(&self, fs: &SimFs) -> std::io::Result<()> {
        put(&open(fs, FILE)?, SECOND, 0)?;
        journal(fs).map(drop)
    }

    fn save(&self, fs: &SimFs, value: u64) -> std::io::Result<()> {
        let (file, journal) = (open(fs, FILE)?, journal(fs)?);
        put(&journal, 0, value)?;
        put(&journal, SECOND, !value)?;
        if self.0 != Mistake::JournalUnsynced {
            journal.sync()?;
        }
        self.finish((&file, &journal), value, self.0 != Mistake::NumbersUnsynced)
    }

    fn finish(
        &self,
        (file, journal): (&SimFile, &SimFile),
        value: u64,
        syncs: bool,
    ) -> std::io::Result<()> {
        put(file, 0, value)?;
        put(file, SECOND, value)?;
        if syncs {
            file.sync()?;
        }
        journal.set_len(0)?;
        journal.sync()
    }

    fn open(&self, fs: &SimFs) -> std::io::Result<[u64; 2]> {
        let (file, journal) = (open(fs, FILE)?, journal(fs)?);
        let (value, sum) = (number(&journal, 0)?, number(&journal, SECOND)?);
        if value == !sum {
            // After a kill it may be in the page cache only.
            journal.sync()?;
            let syncs = self.0 != Mistake::RecoveryUnsynced;
            self.finish((&file, &journal), value, syncs)?;
        }
        Ok([number(&file, 0)?, number(&file, SECOND)?])
    }
}

impl Program for Pair {
    type State = u64;

    fn recover(&mut self, recovery: &mut Recovery<'_, u64>) -> Result<(), String> {
        let found = self.open(recovery.fs).map_err(|error| error.to_string())?;
        recovery.compare(|state| (found != [*state; 2]).then(|| format!("{found:?}, not {state}")));
        Ok(())
    }
}

fn attack(mistake: Mistake, effort: Effort) -> Result<u64, Lost> {
    let mut pair = Pair(mistake);
    let mut explorer = Explorer::new(7, effort);
    let fs = SimFs::boot(Disk::default(), 7);
    pair.create(&fs).expect("no fault is injected");
    let mut prefix = Prefix::durable(0);
    fs.record_forks();
    for value in 1..100 {
        prefix.begin(value);
        pair.save(&fs, value).expect("no fault is injected");
        explorer.at_forks(&mut pair, &fs.take_forks(), prefix.states())?;
        prefix.acknowledge();
        explorer.power_loss(&mut pair, &fs.disk(), prefix.states())?;
    }
    Ok(explorer.crashes())
}

#[test]
fn a_right_program_passes() {
    let crashes = attack(Mistake::None, Effort::default()).unwrap();
    assert!(crashes > 1000, "{crashes}");
}

#[test]
fn each_mistake_is_found() {
    for mistake in [Mistake::JournalUnsynced, Mistake::NumbersUnsynced] {
        let lost = attack(mistake, Effort { depth_max: 1, ..Effort::default() });
        assert!(lost.is_err(), "{mistake:?}: {lost:?}");
    }
}

#[test]
fn a_mistake_of_a_recovery_needs_a_crash_inside_it() {
    let at_depth = |depth_max| Effort { depth_max, ..Effort::default() };
    assert!(attack(Mistake::RecoveryUnsynced, at_depth(1)).is_ok());
    let lost = attack(Mistake::RecoveryUnsynced, at_depth(2)).unwrap_err();
    assert_eq!(lost.at.len(), 2, "{lost}");
}

#[test]
fn the_number_of_forks_is_bounded() {
    let all = attack(Mistake::None, Effort::default()).unwrap();
    let some = attack(Mistake::None, Effort { forks_max: 2, ..Effort::default() }).unwrap();
    assert!(some < all / 2 && some > 100, "{some} of {all}");
}

#[test]
fn a_program_that_compares_nothing_fails() {
    struct Blind;
    impl Program for Blind {
        type State = u64;
        fn recover(&mut self, _: &mut Recovery<'_, u64>) -> Result<(), String> {
            Ok(())
        }
    }
    let disk = Disk::default();
    let lost = Explorer::new(1, Effort::default()).power_loss(&mut Blind, &disk, &[0]);
    assert_eq!(
        lost.unwrap_err().to_string(),
        "after a crash at rest: the program compared nothing"
    );
}

#[test]
fn a_failed_sync_loses_writes_for_good() {
    let mut is_lost = false;
    for seed in 0..40 {
        let fs = SimFs::boot(Disk::default(), seed);
        let file = open(&fs, FILE).unwrap();
        put(&file, 0, 9).unwrap();
        fs.inject(Injection { fault: Fault::SyncIo, after: 0, lasting: false });
        assert!(file.sync().is_err());
        file.sync().unwrap();
        let fs = SimFs::boot(fs.disk().power_loss(&mut fastness_crashkit::Rng::new(seed)), seed);
        is_lost |= number(&open(&fs, FILE).unwrap(), 0).unwrap() != 9;
    }
    assert!(is_lost, "no failed sync lost a write");
}
