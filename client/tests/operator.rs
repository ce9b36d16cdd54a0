//! An operator's Friday at the command line, against a real server in this process.

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Command,
};

use expect_test::expect_file;
use support::{
    friday::{Friday, command},
    tool::{golden, stable},
};

const OFFICE: [&str; 2] = ["--office", "mpp-kubu-raya"];
const SLOT: [&str; 6] = ["--office", "mpp-kubu-raya", "--date", "2026-11-30", "--lane", "REGULAR"];

fn people(rows: &[&str]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
    writeln!(file, "office,date,lane,nik,reference,party").unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
    file
}

/// A page of commands and what they printed. Ids and booking codes, which differ each time, are taken out.
struct Page<'a> {
    server: &'a Friday,
    text: String,
    taken_out: Vec<(String, &'static str)>,
}

impl Page<'_> {
    async fn run(&mut self, arguments: &[&str]) -> String {
        let (out, err, code) = self.server.kuota(arguments, "").await;
        let errors: String = err.lines().map(|line| format!("stderr: {line}\n")).collect();
        let text = format!("$ kuota {}\n{out}{errors}exit {code}\n\n", arguments.join(" "));
        self.text.extend(text.lines().map(|line| line.trim_end().to_owned() + "\n"));
        out
    }

    fn finish(self) -> String {
        let mut text = self.text;
        for (what, placeholder) in &self.taken_out {
            text = text.replace(what, placeholder);
        }
        stable(&text)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_friday_at_the_command_line() {
    let server = Friday::open();
    let mut page = Page { server: &server, text: String::new(), taken_out: Vec::new() };
    let file = people(&[
        "mpp-kubu-raya,2026-11-30,REGULAR,6171012309870001,order 1,",
        "mpp-kubu-raya,2026-11-30,REGULAR,6171016309870002,order 2,family",
        "mpp-kubu-raya,2026-11-30,REGULAR,6171012309870003,order 2,family",
        "mpp-kubu-raya,2026-11-30,REGULAR,6171012309870001,order 3,",
        "mpp-kubu-raya,2026-11-29,REGULAR,6171012309870004,order 4,",
    ]);
    let name = file.path().to_str().unwrap();
    page.taken_out.push((name.to_owned(), "people.csv"));
    let results = page.run(&["register", "--file", name]).await;
    let codes: Vec<String> =
        results.lines().filter_map(|line| line.split(',').nth(3)).map(Into::into).collect();
    page.taken_out.extend([(codes[1].clone(), "<code 1>"), (codes[2].clone(), "<code 2>")]);

    let why = |reason: &'static str| ["--reason", reason, "--yes"];
    page.run(&[&["admin", "quota", "set"], &SLOT[..], &["--places", "2"], &why("one counter less")].concat())
        .await;
    page.run(&[&["admin", "pause"], &OFFICE[..], &why("power cut")].concat()).await;
    page.run(&["register", "--office", "mpp-kubu-raya", "--date", "2026-11-30", "--nik", "6171012309870005"])
        .await;
    page.run(&["admin", "status"]).await;
    page.run(&["cancel", &codes[1], "--reason", "ill"]).await;
    page.run(&[&["admin", "resume"], &OFFICE[..], &why("power is back")].concat()).await;
    page.run(&[&["admin", "resume"], &OFFICE[..], &why("once more")].concat()).await;
    page.run(&[&["admin", "quota", "clear"], &SLOT[..], &why("counter is back")].concat()).await;
    let saturday = ["--date", "2026-12-05", "--at", "2026-11-28 09:00", "--places", "4"];
    page.run(&[&["admin", "open"], &OFFICE[..], &saturday, &why("extra Saturday")].concat()).await;
    page.run(
        &[
            &["admin", "open"],
            &OFFICE[..],
            &["--date", "2026-12-05", "--at", "2026-11-27 09:00"],
            &why("late"),
        ]
        .concat(),
    )
    .await;
    page.run(&["availability", "--office", "mpp-kubu-raya", "--from", "2026-11-30", "--to", "2026-12-05"])
        .await;
    page.run(&["log", &codes[1]]).await;
    page.run(&["admin", "events", "--by", "siti"]).await;
    page.run(&["admin", "export", "--office", "mpp-kubu-raya"]).await;
    let text = page.finish().replace("--nik 6171012309870005", "--nik <nik>");
    assert!(!text.contains("617101"), "no identity number but the one on the command line: {text}");
    expect_file![golden("friday.txt")].assert_eq(&text);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalogue_in_force_changes_nothing_and_another_one_shows_what_it_would() {
    let server = Friday::open();
    let (toml, _, code) = server.kuota(&["admin", "catalog", "get"], "").await;
    assert!(code == 0 && toml.contains("mpp-kubu-raya"), "{toml}");
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let apply = |more: &[&'static str]| {
        let name = file.path().to_str().unwrap().to_owned();
        let arguments = [&["admin", "catalog", "apply"], more].concat();
        (arguments, name)
    };
    let (arguments, name) = apply(&["--reason", "the same"]);
    let (out, err, code) = server.kuota(&[&arguments[..], &[&name]].concat(), "").await;
    assert_eq!((out.as_str(), code), ("No differences.\n", 0), "{err}");

    let broken = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(broken.path(), "[[office]]\nid = 7\n").unwrap();
    let name = broken.path().to_str().unwrap();
    let (_, err, code) = server.kuota(&["admin", "catalog", "apply", name, "--validate-only"], "").await;
    assert_eq!(code, 64, "{err}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_each_change_and_ends_with_an_interrupt() {
    let server = Friday::open();
    let filter = ["watch", "--office", "mpp-kubu-raya", "--from", "2026-11-30", "--to", "2026-11-30"];
    let mut child = command(&server.url, &server.admin_url, &filter).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first, mut lines) = tokio::task::spawn_blocking(move || (lines.next(), lines)).await.unwrap();
    assert_eq!(first.unwrap().unwrap(), "mpp-kubu-raya 2026-11-30 REGULAR OPEN 10 of 10");
    let register =
        ["register", "--office", "mpp-kubu-raya", "--date", "2026-11-30", "--nik", "6171012309870001"];
    assert_eq!(server.kuota(&register, "").await.2, 0);
    let ended = tokio::task::spawn_blocking(move || {
        let second = lines.next().unwrap().unwrap();
        assert_eq!(second, "mpp-kubu-raya 2026-11-30 REGULAR OPEN 9 of 10");
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        child.wait().unwrap()
    });
    assert_eq!(ended.await.unwrap().code(), Some(0));
    server.stop().await;
}
