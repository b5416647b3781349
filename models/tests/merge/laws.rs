//! The laws that every history obeys. A broken one is an error that begins with its id.

use fastness_models::merge::fold::State;
use fastness_models::merge::mutant::Mutant;
use fastness_models::merge::server::{AHEAD_MAX, Answer, Refusal, Server};
use fastness_models::merge::statement::Statement;
use fastness_models::merge::{
    Anchor, Client, Effect, Element, ListOperation, Operation, Stamp, SyncEntry, without_order,
};
use std::collections::{BTreeMap, BTreeSet};

/// An operation by name, and its effect.
pub(crate) type Mark = (&'static str, Effect);

/// Returns the mark of an operation.
fn mark(operation: &Operation, effect: Effect) -> Mark {
    let name = match operation {
        Operation::AddClass(..) => "AddClass",
        Operation::AddProperty(..) => "AddProperty",
        Operation::Create(_) => "Create",
        Operation::Delete(_) => "Delete",
        Operation::Set(..) => "Set",
        Operation::Increment(..) => "Increment",
        Operation::List(_, _, ListOperation::Insert(..)) => "ListInsert",
        Operation::List(_, _, ListOperation::Set(..)) => "ListSet",
        Operation::List(_, _, ListOperation::Remove(_)) => "ListRemove",
        Operation::List(_, _, ListOperation::Move(..)) => "ListMove",
    };
    (name, effect)
}

/// SY2: fold and statement agree on the prefixes from `first` on. Returns the marks.
pub(crate) fn statement(
    history: &[SyncEntry],
    first: usize,
    mutant: Option<Mutant>,
) -> Result<BTreeSet<Mark>, String> {
    definitions(history)?;
    let mut state = State::new(mutant);
    let mut marks = BTreeSet::new();
    for (index, entry) in history.iter().enumerate() {
        let effects = state.apply(entry);
        marks.extend(entry.operations.iter().zip(effects).map(|(o, effect)| mark(o, effect)));
        if index < first {
            continue;
        }
        let stated = Statement::new(&history[..=index]).visible();
        let folded = without_order(state.visible());
        if folded != stated {
            return Err(format!("SY2: at {}: {folded:?} is stated as {stated:?}", index + 1));
        }
    }
    Ok(marks)
}

/// SY16: no two definitions conflict.
fn definitions(history: &[SyncEntry]) -> Result<(), String> {
    let (mut classes, mut kinds) = (BTreeSet::new(), BTreeMap::new());
    for operation in history.iter().flat_map(|entry| &entry.operations) {
        if let Operation::AddClass(class, _) = *operation {
            classes.insert(class);
        }
        if let Operation::AddProperty(class, property, kind) = *operation
            && classes.contains(&class)
            && *kinds.entry((class, property)).or_insert(kind) != kind
        {
            return Err(format!("SY16: {operation:?} conflicts"));
        }
    }
    Ok(())
}

/// MR5: a move that loses is without effect, if nothing was placed next to its element since the
/// first move.
pub(crate) fn moves(history: &[SyncEntry], mutant: Option<Mutant>) -> Result<(), String> {
    let mut state = State::new(mutant);
    let mut winners: BTreeMap<Element, (Stamp, usize)> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for entry in history {
        let effects = state.apply(entry);
        for (index, (operation, effect)) in entry.operations.iter().zip(effects).enumerate() {
            let Operation::List(_, _, change) = operation else { continue };
            if let ListOperation::Insert(_, anchor, _) | ListOperation::Move(_, anchor) = change
                && let Anchor::After(next) | Anchor::Before(next) = anchor
                && winners.contains_key(next)
            {
                anchors.insert(*next);
            }
            if let ListOperation::Move(element, _) = change
                && matches!(effect, Effect::Applied | Effect::Overridden)
            {
                let winner = winners.entry(*element).or_insert((entry.order(), index));
                *winner = (*winner).max((entry.order(), index));
            }
        }
    }
    winners.retain(|element, _| !anchors.contains(element));
    let mut stripped = State::new(mutant);
    for entry in history {
        let is_kept = |(index, operation): &(usize, &Operation)| {
            let Operation::List(_, _, ListOperation::Move(element, _)) = operation else {
                return true;
            };
            winners.get(element).is_none_or(|winner| *winner == (entry.order(), *index))
        };
        let kept = entry.operations.iter().enumerate().filter(is_kept);
        let operations = kept.map(|(_, operation)| *operation).collect();
        stripped.apply(&SyncEntry { operations, ..entry.clone() });
    }
    if state.visible() == stripped.visible() {
        return Ok(());
    }
    Err(format!("MR5: {:?}, but the winners make {:?}", state.visible(), stripped.visible()))
}

/// SY7: stamps increase along knowledge, and are ahead of the server's time only as far as allowed.
pub(crate) fn stamps(server: &Server, now: u64) -> Result<(), String> {
    let history = &server.history;
    for entry in history {
        let mut known = 0;
        for other in history.iter().filter(|other| other.seq < entry.seq) {
            let is_author = other.client == entry.client;
            if entry.knows(other) {
                known = known.max(other.stamp);
            } else if is_author && other.client_seq >= entry.client_seq {
                return Err(format!("SY7: {entry:?} is after {other:?}"));
            }
        }
        if entry.stamp <= known {
            return Err(format!("SY7: {entry:?} knows the stamp {known}"));
        }
        if entry.stamp > (now + AHEAD_MAX).max(known + 1) {
            return Err(format!("SY7: {entry:?} is ahead of {now}"));
        }
        let gap = (1..entry.client_seq).find(|number| {
            let is_before = |other: &&SyncEntry| {
                other.client == entry.client && other.client_seq == *number && other.seq < entry.seq
            };
            let is_refused = server.refusal(entry.client, *number).is_some();
            !is_refused && !history.iter().any(|other| is_before(&other))
        });
        if gap.is_some() {
            return Err(format!("SY7: {entry:?} without {gap:?}"));
        }
    }
    Ok(())
}

/// SY8: entries that arrive again, or too early, change nothing.
pub(crate) fn duplicates(
    server: &Server,
    submitted: &[SyncEntry],
    answers: &[Result<Answer, Refusal>],
) -> Result<(), String> {
    let mut server = server.clone();
    let history = server.history.clone();
    for (entry, answer) in submitted.iter().zip(answers) {
        let again = server.submit(entry, u64::MAX);
        let expect = answer.map(|_| Answer::Acknowledged);
        if again != expect {
            return Err(format!("SY8: {entry:?} again gives {again:?}, not {expect:?}"));
        }
        let last = submitted.iter().filter(|other| other.client == entry.client).count() as u64;
        let early = SyncEntry { client_seq: last + 2, base: server.head(), ..entry.clone() };
        if server.submit(&early, u64::MAX) != Err(Refusal::Gap) {
            return Err(format!("SY8: {early:?} leaves a gap"));
        }
    }
    if server.history != history {
        return Err("SY8: the history has changed".to_owned());
    }
    Ok(())
}

/// SY9: a server that purges after any entry, at any horizon, shows the fold of its history.
pub(crate) fn purges(
    submitted: &[SyncEntry],
    now: u64,
    mutant: Option<Mutant>,
) -> Result<(), String> {
    let mut server = Server::new(mutant);
    for (index, entry) in submitted.iter().enumerate() {
        let _refused = server.submit(entry, now);
        for horizon in 1..=server.head() {
            let mut purged = server.clone();
            purged.purge(horizon);
            purge(purged, &submitted[index + 1..], now, mutant)?;
        }
    }
    Ok(())
}

fn purge(
    mut purged: Server,
    rest: &[SyncEntry],
    now: u64,
    mutant: Option<Mutant>,
) -> Result<(), String> {
    let mut unpurged = State::new(mutant);
    purged.history.iter().for_each(|entry| drop(unpurged.apply(entry)));
    for entry in rest {
        if matches!(purged.submit(entry, now), Ok(Answer::Sequenced(_)))
            && let Some(sequenced) = purged.history.last()
        {
            unpurged.apply(sequenced);
        }
        let (shown, expect) = (purged.state().visible(), unpurged.visible());
        if shown != expect {
            let horizon = purged.horizon();
            return Err(format!("SY9: purged at {horizon}: {shown:?}, not {expect:?}"));
        }
    }
    Ok(())
}

/// Orders of elements that authors saw, and neighbours that one author inserted as a run.
#[derive(Default, Debug)]
pub(crate) struct Intentions {
    pub(crate) orders: Vec<Vec<Element>>,
    pub(crate) runs: Vec<(Element, Element)>,
    /// Left neighbour of each element when it was inserted.
    lefts: BTreeMap<Element, Option<Element>>,
}

impl Intentions {
    /// Notes the runs that an author's new elements extend: behind its own element, or before its
    /// own element at the same left neighbour.
    pub(crate) fn note_runs(&mut self, before: &[Element], after: &[Element], author: Client) {
        for (at, element) in after.iter().enumerate() {
            if before.contains(element) {
                continue;
            }
            let left = at.checked_sub(1).map(|left| after[left]);
            self.lefts.insert(*element, left);
            if let Some(left) = left.filter(|left| left.author == author) {
                self.runs.push((left, *element));
            }
            let right = after.get(at + 1).filter(|right| right.author == author);
            if let Some(right) = right
                && self.lefts.get(right) == Some(&left)
            {
                self.runs.push((*element, *right));
            }
        }
    }
}

/// SY6: no order that an author saw is inverted; nothing concurrent is inside a run.
pub(crate) fn intentions(
    history: &[SyncEntry],
    shown: &[Element],
    intentions: &Intentions,
) -> Result<(), String> {
    let mut inserts: BTreeMap<Element, &SyncEntry> = BTreeMap::new();
    let mut anchors = Vec::new();
    let mut moved = BTreeSet::new();
    for entry in history {
        for operation in &entry.operations {
            let Operation::List(_, _, change) = operation else { continue };
            if let ListOperation::Insert(element, anchor, _) = change {
                inserts.insert(*element, entry);
                anchors.push((*element, *anchor));
            }
            if let ListOperation::Move(element, _) = change {
                moved.insert(*element);
            }
        }
    }
    // An element is where its anchor was moved to.
    for (element, anchor) in anchors {
        if let Anchor::After(next) | Anchor::Before(next) = anchor
            && moved.contains(&next)
        {
            moved.insert(element);
        }
    }
    let places: BTreeMap<Element, usize> = (0..).zip(shown).map(|(at, e)| (*e, at)).collect();
    let place = |element: &Element| places.get(element).filter(|_| !moved.contains(element));
    for order in &intentions.orders {
        let seen: Vec<&usize> = order.iter().filter_map(place).collect();
        if !seen.is_sorted() {
            return Err(format!("SY6: {order:?} is shown as {shown:?}"));
        }
    }
    for (one, other) in &intentions.runs {
        let (Some(from), Some(to)) = (place(one), place(other)) else { continue };
        let (from, to) = (from.min(to), from.max(to));
        for between in shown[from + 1..*to].iter().filter(|between| !moved.contains(between)) {
            let foreign = inserts[between];
            let knows = |element| {
                let own: &SyncEntry = inserts[element];
                foreign.client == own.client || foreign.knows(own) || own.knows(foreign)
            };
            if !knows(one) && !knows(other) {
                return Err(format!("SY6: {between:?} is inside {one:?}, {other:?}: {shown:?}"));
            }
        }
    }
    Ok(())
}
