//! The command line tool as a process, and what it printed as a page that is the same every time.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Scripted;

/// The one id that a page shows.
pub(crate) const ID: &str = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A command and all that it printed, with what differs from run to run taken out.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kuota"));
    for name in
        ["KUOTA_URL", "KUOTA_ADMIN_URL", "KUOTA_ACTOR", "KUOTA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"]
    {
        command.env_remove(name);
    }
    command.env("COLUMNS", "100").env("USER", "siti").envs(environment.iter().copied());
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let mut text = format!("$ kuota {}\n", arguments.join(" "));
    text.push_str(&String::from_utf8(output.stdout).unwrap());
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        text.push_str(&format!("stderr: {line}\n"));
    }
    text.push_str(&format!("exit {}\n", output.status.code().unwrap()));
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Ids the tool made itself.
pub(crate) fn stable(text: &str) -> String {
    let is_id = |word: &&str| word.len() == 36 && uuid::Uuid::try_parse(word).is_ok() && *word != ID;
    let mut stable = text.to_owned();
    for id in text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(is_id) {
        stable = stable.replace(id, "<made here>");
    }
    stable
}

/// Several commands against one server, as one page.
pub(crate) async fn page(server: &Scripted, commands: &[&[&str]]) -> String {
    let mut page = Vec::new();
    for command in commands {
        let (url, arguments) =
            (server.url.clone(), command.iter().map(ToString::to_string).collect::<Vec<_>>());
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run(&arguments, &[("KUOTA_URL", &url), ("KUOTA_ADMIN_URL", &url)])
        };
        let text = tokio::task::spawn_blocking(run).await.unwrap();
        page.push(stable(&text).replace(&server.url, "http://<server>"));
    }
    page.join("\n")
}
