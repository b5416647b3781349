//! Updates of one field of objects: the same for every library.

/// Objects that exist before the updates.
pub(crate) const OBJECTS: i64 = 10_000;

/// Transactions of updates.
pub(crate) struct Fields {
    /// Object and value of each update of each transaction.
    pub(crate) transactions: Vec<Vec<(i64, i64)>>,
}

impl Fields {
    /// Draws transactions of so many updates each, of different objects.
    pub(crate) fn new(transactions: usize, updates: usize) -> Self {
        let mut state = 7_u64;
        let mut draw = |bound: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from(state >> 33).unwrap_or_default() % bound
        };
        let mut transaction = || {
            let (first, step) = (draw(OBJECTS), 1 + draw(50));
            let at = |index| (first + step * index) % OBJECTS;
            (0..updates)
                .map(|index| (at(i64::try_from(index).unwrap_or_default()), draw(1000)))
                .collect()
        };
        Self { transactions: (0..transactions).map(|_| transaction()).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.transactions.iter().map(Vec::len).sum()
    }
}
