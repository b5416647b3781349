//! Table of error codes: numbers, names and categories of the original.
//!
//! - U3 An unlisted number is preserved; it has the name and the category of UNKNOWN.
//!
//! Specified in docs/auth.md#errors. Snapshot of the table: `snapshots/tests/auth.rs`.

use std::fmt;

/// Error code of the server, the client or the network: any number, listed or not.
///
/// The listed codes are constants:
///
/// ```
/// use fastness_auth::ErrorCode;
///
/// let advice = match ErrorCode::from_number(611) {
///     ErrorCode::INVALID_CREDENTIALS => "ask for the password again",
///     _ => "show the error",
/// };
/// assert_eq!(advice, "ask for the password again");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i64);

/// Severity of an error code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Category {
    /// The operation stops until a user or a program intervenes.
    Fatal,
    /// The operation recovers by itself.
    Recoverable,
}

struct Row {
    code: ErrorCode,
    name: &'static str,
    category: Category,
    meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $category:ident, $meaning:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Number ", $number, ": ", $meaning, ".")]
                pub const $name: Self = Self($number);
            )*
        }

        /// All listed codes in ascending order.
        const ROWS: &[Row] = &[$(Row {
            code: ErrorCode::$name,
            name: stringify!($name),
            category: Category::$category,
            meaning: $meaning,
        }),*];
    };
}

codes! {
    // The client.
    UNKNOWN = -1, Fatal, "no error code was reported";
    IO_EXCEPTION = 0, Recoverable, "the network failed";
    JSON_EXCEPTION = 1, Fatal, "an answer is not the JSON it has to be";
    CLIENT_RESET = 7, Fatal, "the server no longer has the history of this file";
    // Connections.
    CONNECTION_CLOSED = 100, Fatal, "the connection was closed";
    OTHER_ERROR = 101, Fatal, "something else went wrong with the connection";
    UNKNOWN_MESSAGE = 102, Fatal, "a message of an unknown kind arrived";
    BAD_SYNTAX = 103, Fatal, "a message is malformed";
    LIMITS_EXCEEDED = 104, Fatal, "a message exceeds the limits";
    WRONG_PROTOCOL_VERSION = 105, Fatal, "the two sides speak no common version of the protocol";
    BAD_SESSION_IDENT = 106, Fatal, "a message names a session that is not there";
    REUSE_OF_SESSION_IDENT = 107, Fatal, "a session was bound under a number in use";
    BOUND_IN_OTHER_SESSION = 108, Fatal, "the file is bound in another session";
    BAD_MESSAGE_ORDER = 109, Fatal, "a message came out of turn";
    BAD_ORIGIN_FILE_IDENT = 110, Fatal, "a change names an origin that cannot be";
    BAD_SERVER_VERSION_DOWNLOAD = 111, Fatal, "a download names a server version that cannot be";
    BAD_CHANGESET_DOWNLOAD = 112, Fatal, "a downloaded change cannot be applied";
    BAD_REQUEST_IDENT = 113, Fatal, "an answer names a request that was not made";
    BAD_ERROR_CODE = 114, Fatal, "an error has a code that cannot be";
    BAD_COMPRESSION = 115, Fatal, "a message does not decompress";
    BAD_CLIENT_VERSION_DOWNLOAD = 116, Fatal, "a download names a client version that cannot be";
    // Sessions.
    SESSION_CLOSED = 200, Recoverable, "the session was closed";
    OTHER_SESSION_ERROR = 201, Recoverable, "something else went wrong with the session";
    TOKEN_EXPIRED = 202, Recoverable, "the access token has expired";
    BAD_AUTHENTICATION = 203, Fatal, "the access token is not accepted";
    ILLEGAL_REALM_PATH = 204, Fatal, "the path is not one a file can have";
    NO_SUCH_PATH = 205, Fatal, "there is no file with this path";
    PERMISSION_DENIED = 206, Fatal, "the user may not do this with the file";
    BAD_SERVER_FILE_IDENT = 207, Fatal, "the server is another than the one the file knows";
    BAD_CLIENT_FILE_IDENT = 208, Fatal, "the server does not know this copy of the file";
    BAD_SERVER_VERSION = 209, Fatal, "the copy is at a server version that cannot be";
    BAD_CLIENT_VERSION = 210, Fatal, "the copy is at a client version that cannot be";
    DIVERGING_HISTORIES = 211, Fatal, "the histories of server and client differ";
    BAD_CHANGESET = 212, Fatal, "an uploaded change cannot be applied";
    DISABLED_SESSION = 213, Fatal, "the session was disabled";
    // HTTP 3xx.
    MULTIPLE_CHOICES = 300, Fatal, "the server offers several addresses";
    MOVED_PERMANENTLY = 301, Fatal, "the address has changed for good";
    FOUND = 302, Fatal, "the address has changed for now";
    SEE_OTHER = 303, Fatal, "the answer is at another address";
    NOT_MODIFIED = 304, Fatal, "nothing has changed";
    USE_PROXY = 305, Fatal, "the server wants to be asked through a proxy";
    TEMPORARY_REDIRECT = 307, Fatal, "the address has changed for now";
    PERMANENT_REDIRECT = 308, Fatal, "the address has changed for good";
    // HTTP 4xx.
    BAD_REQUEST = 400, Fatal, "the server does not understand the request";
    UNAUTHORIZED = 401, Fatal, "the server wants to know who asks";
    PAYMENT_REQUIRED = 402, Fatal, "the server wants to be paid";
    FORBIDDEN = 403, Fatal, "the server refuses";
    NOT_FOUND = 404, Fatal, "there is nothing at this address";
    METHOD_NOT_ALLOWED = 405, Fatal, "the address does not take this method";
    NOT_ACCEPTABLE = 406, Fatal, "the server cannot answer in an accepted form";
    PROXY_AUTHENTICATION_REQUIRED = 407, Fatal, "the proxy wants to know who asks";
    REQUEST_TIMEOUT = 408, Fatal, "the request came too slowly";
    CONFLICT = 409, Fatal, "the request conflicts with the state of the server";
    GONE = 410, Fatal, "the address no longer exists";
    LENGTH_REQUIRED = 411, Fatal, "the server wants the length of the body";
    PRECONDITION_FAILED = 412, Fatal, "a condition of the request does not hold";
    PAYLOAD_TOO_LARGE = 413, Fatal, "the body is too large";
    URI_TOO_LONG = 414, Fatal, "the address is too long";
    UNSUPPORTED_MEDIA_TYPE = 415, Fatal, "the server does not take this type of body";
    RANGE_NOT_SATISFIABLE = 416, Fatal, "the range asked for is not there";
    EXPECTATION_FAILED = 417, Fatal, "the server cannot do what is expected of it";
    MISDIRECTED_REQUEST = 421, Fatal, "the request went to the wrong server";
    UNPROCESSABLE_ENTITY = 422, Fatal, "the body makes no sense to the server";
    LOCKED = 423, Fatal, "the resource is locked";
    FAILED_DEPENDENCY = 424, Fatal, "something this depends on failed";
    UPGRADE_REQUIRED = 426, Fatal, "the server wants another protocol";
    PRECONDITION_REQUIRED = 428, Fatal, "the server wants a condition";
    TOO_MANY_REQUESTS = 429, Fatal, "too many requests came from here";
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431, Fatal, "the headers are too large";
    UNAVAILABLE_FOR_LEGAL_REASONS = 451, Fatal, "the law forbids an answer";
    // HTTP 5xx.
    INTERNAL_SERVER_ERROR = 500, Fatal, "the server failed";
    NOT_IMPLEMENTED = 501, Fatal, "the server cannot do this";
    BAD_GATEWAY = 502, Fatal, "the server behind the gateway gives no good answer";
    SERVICE_UNAVAILABLE = 503, Fatal, "the server is not available now";
    GATEWAY_TIMEOUT = 504, Fatal, "the server behind the gateway does not answer in time";
    HTTP_VERSION_NOT_SUPPORTED = 505, Fatal, "the server does not speak this version of HTTP";
    VARIANT_ALSO_NEGOTIATES = 506, Fatal, "the server is set up in a circle";
    INSUFFICIENT_STORAGE = 507, Fatal, "the server's disk is full";
    LOOP_DETECTED = 508, Fatal, "the server ran into a loop";
    NOT_EXTENDED = 510, Fatal, "the server wants an extension";
    NETWORK_AUTHENTICATION_REQUIRED = 511, Fatal, "the network wants a login of its own";
    // Authentication.
    INVALID_PARAMETERS = 601, Fatal, "a parameter is not valid";
    MISSING_PARAMETERS = 602, Fatal, "a parameter is missing";
    INVALID_CREDENTIALS = 611, Fatal, "the name or the password is wrong";
    UNKNOWN_ACCOUNT = 612, Fatal, "there is no such account";
    EXISTING_ACCOUNT = 613, Fatal, "there is such an account already";
    ACCESS_DENIED = 614, Fatal, "the user may not do this";
    EXPIRED_REFRESH_TOKEN = 615, Fatal, "the login has expired or was revoked";
    INVALID_HOST = 616, Fatal, "the server does not serve this host";
    // Others.
    EXPIRED_PERMISSION_OFFER = 701, Fatal, "the offer of permissions has expired";
    AMBIGUOUS_PERMISSION_OFFER_TOKEN = 702, Fatal, "the offer's token fits several offers";
    FILE_MAY_NOT_BE_SHARED = 703, Fatal, "the file may not be shared";
    SERVER_MISCONFIGURATION = 801, Fatal, "the server is not set up correctly";
}

impl ErrorCode {
    /// Creates a code from any number, listed or not.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Returns the name of the original; `UNKNOWN` for an unlisted number.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.name)
    }

    /// Returns the category; an unlisted number is fatal.
    #[must_use]
    pub fn category(self) -> Category {
        self.row().map_or(Category::Fatal, |row| row.category)
    }

    /// Returns a short description.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row().map_or("a code that is not known here", |row| row.meaning)
    }

    /// Returns whether the number is listed.
    #[must_use]
    pub fn is_listed(self) -> bool {
        self.row().is_some()
    }

    /// Returns all listed codes in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.code)
    }

    /// Returns whether the code is defined by the object server, not by HTTP or a session.
    pub(crate) fn is_application_code(self) -> bool {
        self >= Self::INVALID_PARAMETERS
    }

    fn row(self) -> Option<&'static Row> {
        let at = ROWS.binary_search_by_key(&self, |row| row.code).ok()?;
        ROWS.get(at)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ascends_so_that_it_can_be_searched() {
        assert!(ROWS.is_sorted_by_key(|row| row.code));
        assert!(ROWS.windows(2).all(|pair| pair[0].code != pair[1].code));
        assert!(ROWS.iter().all(|row| ErrorCode::from_number(row.code.0).name() == row.name));
    }

    #[test]
    fn numbers_that_are_not_listed_are_kept() {
        for number in [i64::MIN, -2, 2, 117, 118, 418, 425, 99_999, i64::MAX] {
            let code = ErrorCode::from_number(number);
            assert_eq!((code.number(), code.name()), (number, "UNKNOWN"));
            assert_eq!((code.category(), code.is_listed()), (Category::Fatal, false));
            assert_eq!(code.to_string(), format!("UNKNOWN({number})"));
        }
    }
}
