//! A child process that serves: started, asked where it listens, killed and started again where it was.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::limits::SERVER_START_MAX;

/// A running child. Killed when dropped.
#[derive(Debug)]
pub struct Child {
    program: PathBuf,
    arguments: Vec<OsString>,
    process: std::process::Child,
    /// Where it serves: gRPC for services, and for operators where there are some.
    pub addresses: Vec<SocketAddr>,
}

impl Child {
    /// Starts a server on a data directory, with a catalogue from a file or the one built in, and so much niceness.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn server(program: &Path, data: &Path, catalog: Option<&Path>, nice: u8) -> anyhow::Result<Self> {
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--data".into(), data.into()];
        arguments.extend(["--nice".into(), nice.to_string().into()]);
        if let Some(catalog) = catalog {
            arguments.extend(["--catalog".into(), catalog.into()]);
        }
        Self::start(program, arguments)
    }

    /// Starts the server that does nothing.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn null(program: &Path) -> anyhow::Result<Self> {
        Self::start(program, vec!["null-server".into()])
    }

    fn start(program: &Path, arguments: Vec<OsString>) -> anyhow::Result<Self> {
        let (process, addresses) = spawn(program, &arguments)?;
        Ok(Self { program: program.into(), arguments, process, addresses })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`, and the same again on the same data and ports.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        let mut arguments = self.arguments.clone();
        for (flag, address) in ["--listen", "--admin-listen"].into_iter().zip(&self.addresses) {
            arguments.extend([flag.into(), address.to_string().into()]);
        }
        let (process, addresses) = spawn(&self.program, &arguments)?;
        (self.process, self.addresses) = (process, addresses);
        Ok(())
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn hold(&self, stand_still: bool) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process")?;
        kill_process(pid, if stand_still { Signal::STOP } else { Signal::CONT })?;
        Ok(())
    }

    /// Lets it end by itself: everything is in its log then.
    pub fn end(mut self) {
        drop(self.process.stdin.take());
        // Ended, or not ours any more.
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &Path, arguments: &[OsString]) -> anyhow::Result<(std::process::Child, Vec<SocketAddr>)> {
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: cannot be started", program.display()))?;
    let stdout = process.stdout.take().context("a child without output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // An empty line says as much as an error: it ended.
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(line);
    });
    let line = receiver.recv_timeout(SERVER_START_MAX).unwrap_or_default();
    let addresses: Result<Vec<_>, _> = line.split_whitespace().map(str::parse).collect();
    match addresses {
        Ok(addresses) if !addresses.is_empty() => Ok((process, addresses)),
        Ok(_) | Err(_) => {
            let _ = process.kill();
            let _ = process.wait();
            bail!("the server did not say where it listens; what it printed stands above")
        }
    }
}
