//! The other handles and processes: their actions at calls of a long operation.
//!
//! An action is drawn before the operation begins and runs inside a call of the simulated file
//! system, on the thread of the operation. An action that needs the writer lock is skipped while
//! another thread or operation holds it, so no action waits.

use crate::check::compare::{CheckError, Order, Reading, read_all};
use crate::check::definition::Violation;
use crate::check::edits::{EntryEdit, apply_edits, edited};
use crate::check::promises::{C2, C6, C7, C10, F2, V4};
use crate::check::world::{COPY, World, file};
use crate::fs::{Fork, SimFs};
use fastness::inspect::is_writing;
use fastness::{Durability, Error, FileErrorCause, Store, StoreOptions, StoreSnapshot};
use fastness_models::store::StoreState;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// An action of another handle or process at a call.
#[derive(Debug)]
pub(super) enum OtherAction {
    /// Commits through the open store.
    Commit(Vec<EntryEdit>, Durability),
    TakeSnapshot,
    ScanSnapshot(u8),
    DropSnapshot(u8),
    /// Another process opens the file for reading.
    OpenReadOnly,
    /// Another process opens the file, commits, and compacts the file or not.
    Open(Vec<EntryEdit>, bool),
    /// Another process creates the file.
    Create,
    /// Another handle copies the file to the path of the copies.
    Copy,
}

/// The effect of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Committed,
    Scanned,
    WriterKeptOut,
    ProcessKeptOut,
    Opened,
    Compacted,
    Created,
    Copied,
    /// Another process opened the file for reading.
    Read,
}

/// A disk at a call, and the states that a crash there may leave.
pub(super) struct CrashCandidate {
    pub(super) fork: Fork,
    pub(super) states: Vec<StoreState>,
}

/// The other handles and processes during one operation.
pub(super) struct Others {
    pub(super) fs: SimFs,
    /// The open store; `None` while the operation opens, closes or creates it.
    pub(super) store: Option<Store>,
    /// The options of another process, with the key and without.
    pub(super) options: StoreOptions,
    pub(super) options_without_key: StoreOptions,
    /// The last durable state and all later ones; the last one is visible.
    pub(super) states: Vec<StoreState>,
    /// Index of the last durable state.
    pub(super) durable: usize,
    pub(super) actions: VecDeque<OtherAction>,
    /// Calls between two actions.
    pub(super) pause: usize,
    /// Calls until the next action.
    pub(super) calls_left: usize,
    pub(super) held: Vec<(StoreSnapshot, StoreState)>,
    pub(super) crashes: Vec<CrashCandidate>,
    pub(super) effects: Vec<Effect>,
    pub(super) outcome: Result<(), CheckError>,
}

impl Others {
    /// Creates the others on a machine, with nothing to do.
    pub(super) fn new(world: &World, fs: &SimFs) -> Self {
        Self {
            fs: fs.clone(),
            store: None,
            options: world.options(fs),
            options_without_key: world.options_without_key(fs),
            states: vec![StoreState::default()],
            durable: 0,
            actions: VecDeque::new(),
            pause: 0,
            calls_left: 0,
            held: Vec::new(),
            crashes: Vec::new(),
            effects: Vec::new(),
            outcome: Ok(()),
        }
    }

    /// Lets them act at the calls of an operation.
    pub(super) fn act_during<T>(self, operation: impl FnOnce() -> T) -> (T, Self) {
        let fs = self.fs.clone();
        let shared = Arc::new(Mutex::new(self));
        let others = Arc::clone(&shared);
        fs.run_during_all(Box::new(move || {
            others.lock().unwrap_or_else(PoisonError::into_inner).at_call();
            false
        }));
        let outcome = operation();
        fs.cancel_during();
        let others = Arc::into_inner(shared).expect("the callback was dropped");
        (outcome, others.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs during a call: takes the next action if it is due.
    fn at_call(&mut self) {
        if self.outcome.is_err() {
            return;
        }
        if self.calls_left > 0 {
            self.calls_left -= 1;
            return;
        }
        self.calls_left = self.pause;
        let Some(action) = self.actions.pop_front() else { return };
        self.outcome = self.take(action);
    }

    fn visible(&self) -> &StoreState {
        self.states.last().expect("there is a state")
    }

    fn take(&mut self, action: OtherAction) -> Result<(), CheckError> {
        match action {
            OtherAction::Commit(edits, durability) => self.commit(&edits, durability),
            OtherAction::TakeSnapshot => {
                if let Some(store) = &self.store {
                    let taken = (store.snapshot(), self.visible().clone());
                    self.held.push(taken);
                }
                Ok(())
            }
            OtherAction::ScanSnapshot(which) => self.scan(which),
            OtherAction::DropSnapshot(which) => {
                if !self.held.is_empty() {
                    drop(self.held.remove(usize::from(which) % self.held.len()));
                }
                Ok(())
            }
            OtherAction::OpenReadOnly => {
                let opened = self.options.open_read_only(file());
                if let Some((store, _)) = self.opened(opened)? {
                    drop(store);
                    self.effects.push(Effect::Read);
                }
                Ok(())
            }
            OtherAction::Open(edits, compacts) => self.open(&edits, compacts),
            OtherAction::Create => self.create(),
            OtherAction::Copy => self.copy(),
        }
    }

    fn commit(&mut self, edits: &[EntryEdit], durability: Durability) -> Result<(), CheckError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        if is_writing(&store) {
            self.effects.push(Effect::WriterKeptOut);
            return Ok(());
        }
        self.note_crashes(self.states.len() - 1);
        let mut txn = store.write()?;
        apply_edits(&mut txn, edits)?;
        let (after, _) = edited(self.visible(), edits);
        txn.commit_with(durability)?;
        self.states.push(after);
        self.note_crashes(self.states.len() - 1);
        if durability == Durability::Immediate {
            self.durable = self.states.len() - 1;
        }
        self.effects.push(Effect::Committed);
        Ok(())
    }

    fn scan(&mut self, which: u8) -> Result<(), CheckError> {
        let visible = self.store.as_ref().map(|store| (store.snapshot(), self.visible().clone()));
        let all: Vec<_> = self.held.iter().chain(&visible).collect();
        let Some(at) = usize::from(which).checked_rem(all.len()) else { return Ok(()) };
        let (snapshot, state) = all[at];
        read_all(snapshot, state, Order::Both(which)).same(C6.id)?;
        self.effects.push(Effect::Scanned);
        Ok(())
    }

    /// Compares the view of another process, and returns the index of the state. An open file is
    /// open once, and a file that does not exist yet is not found.
    fn opened(
        &mut self,
        opened: Result<Store, Error>,
    ) -> Result<Option<(Store, usize)>, CheckError> {
        self.note_crashes(self.states.len() - 1);
        let store = match opened {
            Ok(store) => store,
            Err(Error::File { cause: FileErrorCause::InUse, .. }) => {
                self.effects.push(Effect::ProcessKeptOut);
                return Ok(None);
            }
            Err(Error::File { cause: FileErrorCause::NotFound, .. }) if self.store.is_none() => {
                return Ok(None);
            }
            Err(error) => {
                return Err(Violation::new(C10.id, format!("another process: {error}")).into());
            }
        };
        if self.store.is_some() {
            let text = "another process opened a file that is open";
            return Err(Violation::new(V4.id, text).into());
        }
        let snapshot = store.snapshot();
        let mut texts = Vec::new();
        for (index, state) in self.states.iter().enumerate().skip(self.durable).rev() {
            match read_all(&snapshot, state, Order::Forward) {
                Reading::Same(_) => return Ok(Some((store, index))),
                Reading::Differs { text, .. } => texts.push(text),
                Reading::Failed(error) => texts.push(error.to_string()),
            }
        }
        let text = format!("another process sees no permitted state: {}", texts.join("; or: "));
        Err(Violation::new(C2.id, text).into())
    }

    fn open(&mut self, edits: &[EntryEdit], compacts: bool) -> Result<(), CheckError> {
        let opened = self.options.open(file());
        let Some((store, index)) = self.opened(opened)? else { return Ok(()) };
        // An opening to write makes durable what a reader then sees. One to read writes nothing.
        self.states = vec![self.states.swap_remove(index)];
        self.durable = 0;
        let mut txn = store.write()?;
        apply_edits(&mut txn, edits)?;
        let (after, _) = edited(self.visible(), edits);
        txn.commit()?;
        self.states.push(after);
        self.note_crashes(1);
        self.durable = 1;
        self.effects.push(Effect::Opened);
        if compacts {
            store.compact()?;
            self.effects.push(Effect::Compacted);
        }
        store.close()?;
        Ok(())
    }

    fn create(&mut self) -> Result<(), CheckError> {
        match self.options.create(file()) {
            Ok(store) => {
                self.effects.push(Effect::Created);
                read_all(&store.snapshot(), &StoreState::default(), Order::Forward).same(C7.id)?;
                Ok(())
            }
            Err(Error::File { cause: FileErrorCause::Exists | FileErrorCause::InUse, .. }) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn copy(&mut self) -> Result<(), CheckError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        match store.copy(COPY, None) {
            Ok(()) => {
                self.effects.push(Effect::Copied);
                let copy = self.options_without_key.open_read_only(COPY)?;
                read_all(&copy.snapshot(), self.visible(), Order::Forward).same(F2.id)?;
                Ok(())
            }
            Err(Error::File { cause: FileErrorCause::Exists | FileErrorCause::InUse, .. }) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes the crashes that were possible since the last time: they leave the last durable state
    /// or a later one, up to `last`.
    pub(super) fn note_crashes(&mut self, last: usize) {
        let states = &self.states[self.durable..=last];
        let forks = self.fs.take_forks().into_iter();
        let crashes = forks.map(|fork| CrashCandidate { fork, states: states.to_vec() });
        self.crashes.extend(crashes);
    }
}
