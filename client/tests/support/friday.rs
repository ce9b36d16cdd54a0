//! A real server in this process, on a Friday at 14:00 in West Kalimantan, and the tool run against it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use kuota_domain::time::UnixMillis;
use kuota_server::{
    app::App,
    clock::ManualClock,
    config::{Settings, Source},
    exit::Exit,
};
use tokio::sync::oneshot;

/// A server under way. Its clock stands still.
pub(crate) struct Friday {
    pub(crate) url: String,
    pub(crate) admin_url: String,
    _data: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    running: oneshot::Receiver<Exit>,
}

impl Friday {
    /// At the instant next week opens.
    pub(crate) fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(Source::default(), None).unwrap();
        settings.data = data.path().into();
        for address in [&mut settings.listen, &mut settings.admin_listen, &mut settings.http_listen] {
            address.set_port(0);
        }
        let now = "2026-11-27T07:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let app = App::start(&settings, Arc::new(ManualClock::at(UnixMillis(now))), None).unwrap();
        let addresses = app.addresses().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ended, running) = oneshot::channel();
        std::thread::spawn(move || {
            let exit = app.run(async {
                drop(stopped.await);
                Ok(())
            });
            // A test that is over does not ask.
            let _ = ended.send(exit.unwrap());
        });
        let (url, admin_url) = (format!("http://{}", addresses.grpc), format!("http://{}", addresses.admin));
        Self { url, admin_url, _data: data, stop, running }
    }

    /// What a command printed on stdout and stderr, and its exit code.
    pub(crate) async fn kuota(&self, arguments: &[&str], input: &str) -> (String, String, i32) {
        kuota(&self.url, &self.admin_url, arguments, input).await
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap();
    }
}

/// The tool, with an environment of its own.
pub(crate) fn command(url: &str, admin_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kuota"));
    for name in ["KUOTA_ACTOR", "KUOTA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").env("USER", "siti").env("KUOTA_URL", url).env("KUOTA_ADMIN_URL", admin_url);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn kuota(
    url: &str,
    admin_url: &str,
    arguments: &[&str],
    input: &str,
) -> (String, String, i32) {
    let mut command = command(url, admin_url, arguments);
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // A command that fails early reads no input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}
