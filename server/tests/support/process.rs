//! A server in a process of its own, by the built program, on ports the system chose.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use kuota_client::Client;

pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_kuota-server");

/// A running server. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) grpc: String,
    pub(crate) admin: String,
    pub(crate) http: String,
    log: Option<JoinHandle<String>>,
}

/// The program with its addresses chosen by the system.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(SERVER);
    arguments(&mut command, data);
    command
}

/// The program where an earlier one listened.
pub(crate) fn command_at(data: &Path, grpc: &str, admin: &str) -> Command {
    let mut command = Command::new(SERVER);
    arguments_at(&mut command, data, [grpc, admin]);
    command
}

pub(crate) fn arguments(command: &mut Command, data: &Path) {
    arguments_at(command, data, ["127.0.0.1:0", "127.0.0.1:0"]);
}

fn arguments_at(command: &mut Command, data: &Path, [grpc, admin]: [&str; 2]) {
    command.args(["--listen", grpc, "--admin-listen", admin, "--http-listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data).stderr(Stdio::piped()).stdin(Stdio::null());
}

/// A server that ended instead of serving.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) printed: String,
}

impl Process {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = command(data);
        command.args(more);
        Self::spawn(command).unwrap_or_else(|ended| panic!("the server did not start:\n{}", ended.printed))
    }

    /// Starts a command that is, or becomes, a server; says what it printed if it ends instead.
    pub(crate) fn spawn(mut command: Command) -> Result<Self, Ended> {
        let child = command.spawn().unwrap();
        let mut process =
            Self { child, grpc: String::new(), admin: String::new(), http: String::new(), log: None };
        let mut lines = BufReader::new(process.child.stderr.take().unwrap());
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                return Err(Ended { code: process.child.wait().unwrap().code(), printed });
            }
            printed.push_str(&line);
            if line.contains("serving") && line.contains("grpc") {
                (process.grpc, process.http) = (address(&line, "grpc"), address(&line, "http"));
                process.admin = address(&line, "admin");
                process.log = Some(collect(lines, printed));
                return Ok(process);
            }
        }
    }

    pub(crate) async fn client(&self) -> Client {
        super::people::single_minded(&self.grpc).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops the process in the middle of whatever it does; returns when it stands still.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), rustix::process::Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid());
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; how it ended and everything it printed.
    pub(crate) fn terminate(self) -> (ExitStatus, String) {
        signal(self.pid(), rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// The page at a path.
    pub(crate) fn page(&self, path: &str) -> String {
        page(&self.http, path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended, or ended now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn page(http: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn address(line: &str, key: &str) -> String {
    let rest = line.split(&format!("{key}=")).nth(1).or_else(|| line.split(&format!("\"{key}\":\"")).nth(1));
    rest.unwrap().split([' ', '"', '\n']).next().unwrap().to_owned()
}

fn collect(mut lines: BufReader<ChildStderr>, mut printed: String) -> JoinHandle<String> {
    std::thread::spawn(move || {
        lines.read_to_string(&mut printed).unwrap();
        printed
    })
}
