//! A simulated network: a message stays in flight until it is delivered, in any order, lost or
//! duplicated.

/// Messages in flight, oldest first.
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
    /// Sends a message.
    pub fn send(&mut self, parcel: T) {
        self.parcels.push(parcel);
    }

    /// Takes a message in flight, for delivery or loss; the operand wraps around.
    pub fn take(&mut self, operand: u8) -> Option<T> {
        let count = self.parcels.len();
        (count > 0).then(|| self.parcels.remove(usize::from(operand) % count))
    }

    /// Returns a message in flight; the operand wraps around.
    #[must_use]
    pub fn peek(&self, operand: u8) -> Option<&T> {
        self.parcels.get(usize::from(operand).checked_rem(self.parcels.len())?)
    }

    /// Takes all messages in flight that match.
    pub fn take_if(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        self.parcels.extract_if(.., |parcel| which(parcel)).collect()
    }

    /// Returns the number of messages in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Returns whether no message is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }
}
