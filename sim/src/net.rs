//! A network: whatever was sent is under way until somebody lets it arrive, in any order, or loses
//! it, or sends it again.

/// What is under way, oldest first.
#[derive(Debug)]
pub struct Net<T> {
    parcels: Vec<T>,
}

impl<T> Default for Net<T> {
    fn default() -> Self {
        Self { parcels: Vec::new() }
    }
}

impl<T> Net<T> {
    /// Sends something.
    pub fn send(&mut self, parcel: T) {
        self.parcels.push(parcel);
    }

    /// Takes one of those under way, to deliver or to lose it; the operand wraps around.
    pub fn take(&mut self, operand: u8) -> Option<T> {
        let count = self.parcels.len();
        (count > 0).then(|| self.parcels.remove(usize::from(operand) % count))
    }

    /// Looks at one of those under way; the operand wraps around.
    #[must_use]
    pub fn peek(&self, operand: u8) -> Option<&T> {
        self.parcels.get(usize::from(operand).checked_rem(self.parcels.len())?)
    }

    /// Takes all that are under way and answer to this.
    pub fn take_if(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        self.parcels.extract_if(.., |parcel| which(parcel)).collect()
    }

    /// Returns how many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Returns whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }
}
