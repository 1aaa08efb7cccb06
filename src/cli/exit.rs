//! How a command ends.

use std::io::Write;
use std::process::ExitCode;

/// The exit codes, which scripts rely on. Those above 63 are the ones of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Good,
    /// 1: a check failed, or what was asked for was refused or is not there.
    Failed,
    /// 2: the command line, or a file that it names, cannot be understood.
    Usage,
    /// 69: the service cannot be reached, or cannot do it now.
    Unreachable,
    /// 74: a file or the network failed.
    Io,
    /// 75: another process holds the store.
    Held,
    /// 77: not permitted.
    Denied,
    /// 78: the configuration.
    Config,
}

pub(super) const HELP: &str = "Exit codes:
   0  done
   1  a check failed, or what was asked for was refused or is not there
   2  the command line, or a file that it names, cannot be understood
  69  the service cannot be reached, or cannot do it now
  74  a file or the network failed
  75  another process holds the store
  77  not permitted
  78  the configuration is wrong";

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Io => 74,
            Self::Held => 75,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what it was asked: what is wrong, where, and what to do.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Empty where there is nobody left to tell.
    text: String,
    /// The service's word for it.
    code: Option<Box<str>>,
}

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), code: None }
    }

    #[must_use]
    pub(super) fn with_code(self, code: Option<Box<str>>) -> Self {
        Self { code, ..self }
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The reader of our output went away: no failure of ours.
    pub(super) const fn nobody_reads() -> Self {
        Self { exit: Exit::Good, text: String::new(), code: None }
    }

    /// Says it on standard error.
    pub(super) fn tell(&self) {
        let lead = if self.text.starts_with("error: ") { "" } else { "error: " };
        if !self.text.is_empty() {
            // Where standard error is closed, the exit code is all that is left to say it with.
            let _closed = writeln!(std::io::stderr().lock(), "{lead}{}", crate::plain::clean(&self.text));
        }
    }
}

/// Says on standard error what whoever reads the output should know, and is no failure.
pub(super) fn warn(text: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "warning: {}", crate::plain::clean(text));
}

/// Says on standard error how it went, for a person beside whoever reads the output.
pub(super) fn tell(text: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{}", crate::plain::clean(text));
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
