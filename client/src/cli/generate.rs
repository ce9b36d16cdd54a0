//! Completions and manual pages, made of the same definitions as the command line.

use std::{io, path::Path};

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

/// Writes `kuota.1`, `kuota-register.1`, `kuota-admin-quota-set.1` …, and says which.
pub(super) fn manual(directory: &Path) -> Result<u8, Failed> {
    let mut command: Command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut names = Vec::new();
    let written = std::fs::create_dir_all(directory).and_then(|()| pages(&command, directory, &mut names));
    match written {
        Ok(()) => {
            print(&names.concat());
            Ok(DONE)
        }
        Err(error) => {
            Err(Failed::File(format!("{}: {error}; name a directory to write to", directory.display())))
        }
    }
}

fn pages(command: &Command, directory: &Path, names: &mut Vec<String>) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, directory, names)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let path = directory.join(format!("{name}.1"));
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .source(concat!("kuota ", env!("CARGO_PKG_VERSION")))
        .manual("Kuota")
        .render(&mut std::fs::File::create(&path)?)?;
    names.push(format!("{}\n", path.display()));
    Ok(())
}
