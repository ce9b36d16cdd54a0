//! How the process ends. The numbers are documented: scripts rely on them.

use std::{fmt, process::ExitCode};

use serde::Serialize;

/// What a run says.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything holds, and the run may be believed.
    Pass,
    /// Something does not hold.
    Fail,
    /// The run proves nothing: the client was the limit, or what was to be tried never happened.
    #[default]
    Void,
}

impl Verdict {
    /// How the process ends.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Pass => Exit::Pass,
            Self::Fail => Exit::Fail,
            Self::Void => Exit::Void,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Void => "VOID",
        })
    }
}

/// An exit code with its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything holds.
    Pass,
    /// Something does not hold, or the run broke off.
    Fail,
    /// The run proves nothing.
    Void,
    /// Bad usage or scenario.
    Usage,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Void => 2,
            Self::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
