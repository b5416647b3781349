//! A simulated network: a message stays in flight until it is delivered, in any order, lost or
//! duplicated.

/// Messages in flight, oldest first.
#[derive(Debug)]
pub struct Net<T> {
    messages: Vec<T>,
}

impl<T> Default for Net<T> {
    fn default() -> Self {
        Self { messages: Vec::new() }
    }
}

impl<T> Net<T> {
    /// Sends a message.
    pub fn send(&mut self, message: T) {
        self.messages.push(message);
    }

    /// Takes a message in flight, for delivery or loss; the operand wraps around.
    pub fn take(&mut self, operand: u8) -> Option<T> {
        let count = self.messages.len();
        (count > 0).then(|| self.messages.remove(usize::from(operand) % count))
    }

    /// Returns a message in flight; the operand wraps around.
    #[must_use]
    pub fn peek(&self, operand: u8) -> Option<&T> {
        self.messages.get(usize::from(operand).checked_rem(self.messages.len())?)
    }

    /// Takes all messages in flight that match.
    pub fn take_if(&mut self, matches: impl Fn(&T) -> bool) -> Vec<T> {
        self.messages.extract_if(.., |message| matches(message)).collect()
    }

    /// Returns the number of messages in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether no message is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
