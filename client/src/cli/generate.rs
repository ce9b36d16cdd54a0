//! Completions and manual pages, made of the same definitions as the command line.

use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{
    Args,
    report::{DONE, Failed, print},
};

pub(super) fn completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "kuota", &mut script);
    print(&String::from_utf8_lossy(&script));
    DONE
}

/// Writes `kuota.1`, `kuota-register.1`, `kuota-admin-quota-set.1` …
pub(super) fn manual(directory: &Path) -> Result<u8, Failed> {
    let command: Command = Args::command();
    let written =
        std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    match written {
        Ok(()) => Ok(DONE),
        Err(error) => {
            Err(Failed::File(format!("{}: {error}; name a directory to write to", directory.display())))
        }
    }
}
