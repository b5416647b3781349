//! Codes of errors and refusals, and the action that a client takes.
//!
//! Specification: docs/protocol.md#codes.

/// Code of an ERROR or REJECT. A number that this version does not know is a valid code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u16);

/// Action that a client takes on an ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connects or binds again after a delay.
    Retry,
    /// Binds again at once and sends from the acknowledged entry on.
    Resume,
    /// Gets a new access token; logs the user out if that is refused too.
    RefreshToken,
    /// Asks for another identity and writes the pending entries again.
    NewIdentity,
    /// Performs a client reset.
    Reset,
    /// Reports the error, and stops.
    Stop,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal => $action:ident;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Codes with a meaning, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the action that belongs to the code: [`Action::Stop`] for an unknown one.
            #[must_use]
            pub const fn action(self) -> Action {
                match self.0 {
                    $($number => Action::$action,)*
                    _ => Action::Stop,
                }
            }
        }
    };
}

codes! {
    /// The connection ends: overload, restart, shutdown.
    CONNECTION_CLOSED = 101 => Retry;
    /// The type of a frame is unknown.
    UNKNOWN_TYPE = 102 => Stop;
    /// A frame is malformed.
    MALFORMED_FRAME = 103 => Stop;
    /// A limit is exceeded.
    LIMIT_EXCEEDED = 104 => Stop;
    /// Client and server have no version in common.
    NO_COMMON_VERSION = 105 => Stop;
    /// A session number does not fit the type of its frame.
    BAD_SESSION = 106 => Stop;
    /// A session number is not above all earlier ones.
    REUSED_SESSION = 107 => Stop;
    /// Another session bound the client file.
    BOUND_ELSEWHERE = 108 => Retry;
    /// A frame is out of order, or has an extension that was not negotiated.
    BAD_ORDER = 109 => Stop;
    /// A compressed body is malformed.
    BAD_COMPRESSION = 110 => Stop;
    /// A download is malformed: found by the client.
    BAD_DOWNLOAD = 112 => Reset;
    /// The session ends: failover, maintenance.
    SESSION_CLOSED = 200 => Retry;
    /// The access token has expired.
    TOKEN_EXPIRED = 202 => RefreshToken;
    /// The access token is invalid.
    BAD_TOKEN = 203 => RefreshToken;
    /// The database does not exist.
    NO_DATABASE = 205 => Stop;
    /// The user has no permission for the database.
    NO_PERMISSION = 206 => Stop;
    /// The client is unknown, or its salt is wrong.
    UNKNOWN_CLIENT = 208 => Reset;
    /// The cursor is above the head.
    BAD_CURSOR = 209 => Reset;
    /// A number is missing before a `client_seq`.
    GAP = 210 => Resume;
    /// The history of the server is another one.
    DIVERGED = 211 => Reset;
    /// An entry is undecodable, or exceeds a limit.
    BAD_ENTRY = 212 => Stop;
    /// The login was revoked.
    REVOKED = 220 => RefreshToken;
    /// The cursor or the oldest base is below the horizon.
    EXPIRED = 222 => Reset;
    /// The connection has its most sessions.
    TOO_MANY_SESSIONS = 224 => Retry;
    /// An entry's definition conflicts with the schema.
    SCHEMA_CONFLICT = 225 => Stop;
    /// The user has no permission for an entry.
    ENTRY_FORBIDDEN = 231 => Stop;
    /// Another file uploads under the same identity.
    CLONED = 235 => NewIdentity;
    /// The store of the server failed.
    STORE_FAILED = 236 => Retry;
    /// The databases of the owner have as many bytes as the server permits.
    OVER_QUOTA = 237 => Retry;
}

impl Action {
    pub(super) const ALL: [Self; 6] =
        [Self::Retry, Self::Resume, Self::RefreshToken, Self::NewIdentity, Self::Reset, Self::Stop];

    /// Returns the number of the action on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Retry => 0,
            Self::Resume => 1,
            Self::RefreshToken => 2,
            Self::NewIdentity => 3,
            Self::Reset => 4,
            Self::Stop => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_actions_are_those_of_the_document() {
        let page = include_str!("../../../../docs/protocol.md");
        let section = page.split("### Codes").nth(1).unwrap();
        for code in Code::ALL {
            let row = section.lines().find(|line| line.starts_with(&format!("| {} |", code.0)));
            let row = row.unwrap_or_else(|| panic!("{code:?} has no row"));
            let action = format!("| {:?} |", code.action());
            assert!(row.ends_with(&action) || row.ends_with("| in a REJECT |"), "{row}");
        }
        for (index, action) in Action::ALL.iter().enumerate() {
            assert_eq!(usize::from(action.number()), index);
            assert!(section.contains(&format!("| {action:?} | {index} |")), "{action:?}");
        }
    }
}
