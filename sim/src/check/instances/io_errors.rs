//! Instances on a failing disk: a failed call changes no count and no claim, and leaves the file in
//! its old state, its new state, or a state in between. All holders of an open file still read its
//! contents, and either all or none can write.

use super::{FILES, InstanceHarness, same};
use crate::check::definition::Violation;
use crate::check::fixtures::{model_outcome, read_notes, unexpected_error};
use crate::check::promises::{C2, C3, C11, J3};
use crate::fs::{Fault, Injection};
use fastness::Error;
use fastness::config::Configuration;
use fastness_models::Op;
use fastness_models::instances::{
    self as model, Holder, InstanceFile, InstanceKind, InstanceOutcome,
};

/// An operation on a file without holders.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Open(InstanceKind),
    Delete,
    Compact,
}

impl InstanceHarness<'_> {
    /// Runs an operation on a file without holders, while a call fails.
    pub(super) fn fail(&mut self, op: Op) -> Result<(), Violation> {
        let file = usize::from(op.c) % FILES;
        if self.model.global_count(file) > 0 {
            return self.fail_held(file, op);
        }
        // Not the configuration whose migration panics.
        let wanted = self.configuration(op.b % 7);
        let configuration = self.build(file, wanted)?;
        let operation = match op.a % 5 {
            0 | 1 => Operation::Open(InstanceKind::Typed),
            2 => Operation::Open(InstanceKind::Dynamic),
            3 => Operation::Delete,
            _ => Operation::Compact,
        };
        let fault = [Fault::NoSpace, Fault::Io, Fault::SyncIo][usize::from(op.a / 5) % 3];
        let after = u32::from(op.c / 2) % 40;
        self.fs.inject(Injection { fault, after, lasting: op.a >= 128 });
        let outcome = self.attempt(operation, &configuration);
        let failed = self.fs.take_failure().is_some();
        let mut done = self.model.clone();
        let expected = match operation {
            Operation::Open(kind) => {
                done.open(file, Holder { thread: 0, kind }, wanted).inspect(|()| {
                    done.drop_handle(done.handles().len() - 1);
                })
            }
            Operation::Delete => done.delete(file).map(drop),
            Operation::Compact => done.compact(file, wanted.key).map(drop),
        };
        self.probe.line(|| format!("     {operation:?}, file {file}: {outcome:?}"));
        match outcome {
            Err(error) if failed && !is(&error, expected) => {
                self.settle((file, wanted), operation, &done)?;
            }
            outcome => {
                same(J3.id, &model_outcome(outcome)?, &expected)?;
                self.model = done;
            }
        }
        Ok(())
    }

    /// Adds a note to a held file, while a call fails.
    fn fail_held(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let open = self.open_handles(file);
        let at = open[usize::from(op.b) % open.len()];
        let mut noted = self.model.clone();
        if noted.add_note(at, self.model.handles()[at].thread, op.b).is_err() {
            return Ok(());
        }
        let fault = [Fault::NoSpace, Fault::Io, Fault::SyncIo][usize::from(op.a / 5) % 3];
        let after = u32::from(op.c / 2) % 12;
        self.fs.inject(Injection { fault, after, lasting: op.a >= 128 });
        let outcome = self.add_note(at, op.b);
        let failed = self.fs.take_failure().is_some();
        self.probe.line(|| format!("     a note beside {} handles: {outcome:?}", open.len()));
        match outcome {
            Ok(()) => {
                self.model = noted;
                return Ok(());
            }
            Err(error) if !failed => {
                let text = format!("refused without an injected fault: {error}");
                return Err(Violation::new(C11.id, text));
            }
            Err(_) => {}
        }
        // Holders keep reading the previous state.
        let notes = &self.model.file(file).map(|file| file.notes.clone()).unwrap_or_default();
        for at in &open {
            let held = &self.handles[*at];
            let found = self.threads.on(self.model.handles()[*at].thread, || read_notes(held));
            same(C11.id, &found.map_err(unexpected_error)?, notes)?;
        }
        match self.add_note(at, op.b) {
            Ok(()) => {
                self.model = noted;
                self.probe.mark("note failed and the file stayed usable");
                return Ok(());
            }
            Err(Error::Poisoned { .. }) => {}
            Err(error) => return Err(unexpected_error(error)),
        }
        for at in &open {
            let again = self.add_note(*at, op.b);
            if !matches!(again, Err(Error::Poisoned { .. })) {
                let text = format!("another handle to a poisoned file gives {again:?}");
                return Err(Violation::new(C3.id, text));
            }
        }
        self.reopen(file, &noted)
    }

    /// Closes a poisoned file; it must hold the old or the new state.
    fn reopen(&mut self, file: usize, noted: &model::Instances) -> Result<(), Violation> {
        while let Some(at) = self.open_handles(file).pop() {
            let dropped = self.handles.remove(at);
            self.threads.on(self.model.handles()[at].thread, || drop(dropped));
            self.model.drop_handle(at);
        }
        let possible = [self.model.file(file).cloned(), noted.file(file).cloned()];
        let key = possible[0].as_ref().map_or(0, |file| file.key);
        let found = self.found(file, key)?;
        let Some(at) = possible.iter().position(|state| *state == found) else {
            let text = format!("a note failed and left {found:?}, not one of {possible:?}");
            return Err(Violation::new(C2.id, text));
        };
        let marks = ["failed note absent", "failed note present"];
        self.probe.mark(marks[at]);
        self.model.set_file(file, found);
        Ok(())
    }

    /// Returns the open handles of a file.
    fn open_handles(&self, file: usize) -> Vec<usize> {
        let all = self.model.handles().iter().enumerate();
        all.filter(|(_, handle)| handle.open && handle.file == file).map(|(at, _)| at).collect()
    }

    /// Adds a note through a handle, on its thread.
    fn add_note(&self, at: usize, note: u8) -> Result<(), Error> {
        let held = &self.handles[at];
        let add = || held.transact(|txn| txn.get_or_create("Note", i64::from(note)).map(drop));
        self.threads.on(self.model.handles()[at].thread, add)
    }

    fn attempt(&self, operation: Operation, configuration: &Configuration) -> Result<(), Error> {
        match operation {
            Operation::Open(InstanceKind::Typed) => {
                self.instances.open_instance(configuration).map(drop)
            }
            Operation::Open(InstanceKind::Dynamic) => {
                self.instances.open_dynamic(configuration).map(drop)
            }
            Operation::Delete => self.instances.delete(configuration).map(drop),
            Operation::Compact => self.instances.compact(configuration).map(drop),
        }
    }

    /// Reads the state of a file after a failure, and continues from it.
    fn settle(
        &mut self,
        (file, wanted): (usize, model::Configuration),
        operation: Operation,
        done: &model::Instances,
    ) -> Result<(), Violation> {
        let before = self.model.file(file).cloned();
        let made = InstanceFile::new(wanted.key);
        let made = before.clone().unwrap_or(made);
        let key = made.key;
        let possible = match operation {
            Operation::Open(_) => vec![before, Some(made), done.file(file).cloned()],
            Operation::Delete => vec![before, None],
            Operation::Compact => vec![before, Some(made)],
        };
        let found = self.found(file, key)?;
        let Some(at) = possible.iter().position(|state| *state == found) else {
            let text = format!("{operation:?} failed and left {found:?}, not one of {possible:?}");
            return Err(Violation::new(J3.id, text));
        };
        self.probe.mark(match (operation, at) {
            (Operation::Open(_), 0) => "disk error during an opening",
            (Operation::Open(_), 1) => "opening failed, file created without classes",
            (Operation::Open(_), _) => "opening failed, classes written",
            (Operation::Delete, _) => "disk error during a deletion",
            (Operation::Compact, _) => "disk error during a compaction",
        });
        self.model.set_file(file, found);
        Ok(())
    }

    /// Reads a file, which must open.
    fn found(&self, file: usize, key: u8) -> Result<Option<InstanceFile>, Violation> {
        let dynamic = model::Configuration { key, version: 1, migration: None };
        let configuration = self.build(file, dynamic)?;
        if self.fs.disk().len(configuration.path()).is_none() {
            return Ok(None);
        }
        let instance = self.instances.open_dynamic(&configuration);
        let instance = instance
            .map_err(|error| Violation::new(J3.id, format!("after a disk error: {error}")))?;
        let version = instance.snapshot().map_err(unexpected_error)?.view().schema_version();
        let version = version.and_then(|version| u8::try_from(version).ok());
        let notes = read_notes(&instance).map_err(unexpected_error)?;
        Ok(Some(InstanceFile { key, version, notes }))
    }
}

/// Whether an error is the refusal that is expected independently of the disk.
fn is(error: &Error, expected: InstanceOutcome<()>) -> bool {
    let refused = model_outcome::<()>(Err(error.clone())).ok().and_then(Result::err);
    refused.is_some() && refused == expected.err()
}
