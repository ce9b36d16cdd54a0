//! How the process ends. The numbers are documented: scripts rely on them.

use std::process::{ExitCode, Termination};

/// An exit code with its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Stopped cleanly, or the answer is yes.
    Clean,
    /// The answer is no: `verify` found a fault, `health` found nobody serving.
    No,
    /// Bad usage or configuration.
    Usage,
    /// An invariant is broken.
    Invariant,
    /// The log cannot be read or written.
    Log,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Invariant => 70,
            Self::Log => 74,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
