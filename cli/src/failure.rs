//! Failures of a command: a message for stderr, and an exit code.

use fastness::{Error, FileErrorCause};
use fastness_campaign::EnvironmentError;
use std::io;
use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Empty for a silent failure.
    text: String,
}

/// The file has a problem, or a promise is violated.
pub(crate) const PROBLEM: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;
/// A problem of the environment: permissions, space, a file in use.
const ENVIRONMENT: u8 = 4;

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self { code: PROBLEM, text: text.into() }
    }

    pub(crate) fn environment(text: impl Into<String>) -> Self {
        Self { code: ENVIRONMENT, text: text.into() }
    }

    /// Appends a hint.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self { text: format!("{}; {hint}", self.text), ..self }
    }

    /// Returns the message; none if stdout is a closed pipe.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(&*self.text).filter(|text| !text.is_empty())
    }

    /// Returns whether the reader of stdout has closed it.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<EnvironmentError> for Failure {
    fn from(error: EnvironmentError) -> Self {
        Self::environment(error.to_string())
    }
}

/// Only writes to stdout reach this conversion.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::environment("");
        }
        Self::environment(format!("cannot write the result: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::File { cause, .. } = &error else {
            return Self::environment(error.to_string());
        };
        let is_environment = matches!(
            cause,
            FileErrorCause::PermissionDenied
                | FileErrorCause::InUse
                | FileErrorCause::OpenHere
                | FileErrorCause::NoSpace
                | FileErrorCause::Io(_)
        );
        let code = if is_environment { ENVIRONMENT } else { PROBLEM };
        let hint = if matches!(cause, FileErrorCause::KeyMissing | FileErrorCause::WrongKey) {
            " (--key-file FILE, or the variable FASTNESS_KEY)"
        } else if *cause == FileErrorCause::KeyForPlainFile {
            " (leave out --key-file, and unset FASTNESS_KEY)"
        } else {
            ""
        };
        Self { code, text: format!("{error}{hint}") }
    }
}
