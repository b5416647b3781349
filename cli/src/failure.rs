//! Why a command could not do its work: a sentence for stderr and an exit code.

use fastness::{Error, FileErrorCause};
use fastness_campaign::Environment;
use std::io;
use std::process::ExitCode;

/// What a command returns instead of a result.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Empty if there is nothing to say.
    text: String,
}

/// The file is bad, or a promise is broken.
pub(crate) const BAD: u8 = 1;
/// The command was given something it cannot use.
const USAGE: u8 = 2;
/// The surroundings do not allow it.
const ENVIRONMENT: u8 = 4;

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { code: BAD, text: text.into() }
    }

    pub(crate) fn environment(text: impl Into<String>) -> Self {
        Self { code: ENVIRONMENT, text: text.into() }
    }

    /// Adds what else can be done.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self { text: format!("{}; {hint}", self.text), ..self }
    }

    /// Returns what to say; nothing to who closed the pipe that the result went to, as `head` does.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(&*self.text).filter(|text| !text.is_empty())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<Environment> for Failure {
    fn from(error: Environment) -> Self {
        Self::environment(error.to_string())
    }
}

/// Only stdout is written to without naming a file.
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
        let surroundings = matches!(
            cause,
            FileErrorCause::PermissionDenied
                | FileErrorCause::InUse
                | FileErrorCause::NoSpace
                | FileErrorCause::Io(_)
        );
        let code = if surroundings { ENVIRONMENT } else { BAD };
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
