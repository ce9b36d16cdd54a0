//! Help of every command, usage errors, completions and manual pages.
//! `UPDATE_EXPECT=1 cargo test -p kuota-client --test help` writes the files in `golden/` anew.

mod support;

use expect_test::expect_file;
use support::tool::{golden, run};

const KANIM: &str = "kanim-pontianak";

#[test]
fn help_of_every_command() {
    let commands = [
        "",
        "offices",
        "fees",
        "availability",
        "watch",
        "register",
        "get",
        "cancel",
        "pay",
        "reschedule",
        "check-in",
        "complete",
        "log",
        "completions",
        "man",
        "admin",
        "admin status",
        "admin catalog",
        "admin catalog get",
        "admin catalog apply",
        "admin open",
        "admin quota",
        "admin quota set",
        "admin quota clear",
        "admin pause",
        "admin resume",
        "admin reschedule",
        "admin days",
        "admin events",
        "admin export",
        "admin payments",
        "admin payments list",
        "admin payments resolve",
    ];
    for command in commands {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let name = format!("help/{}.txt", ["kuota", command].join(" ").trim().replace(' ', "-"));
        expect_file![golden(&name)].assert_eq(&run(&arguments, &[]));
    }
}

#[test]
fn usage_errors_say_what_is_allowed() {
    let commands: [&[&str]; 8] = [
        &["regster"],
        &["register", "--office", KANIM],
        &["register", "--file", "people.csv", "--nik", "1"],
        &["register", "--file", "nowhere.csv"],
        &["admin", "pause", "--reason", "power cut"],
        &["admin", "pause", "--office", KANIM],
        &["admin", "pause", "--everything", "--reason", "power cut"],
        &[
            "admin",
            "quota",
            "set",
            "--office",
            KANIM,
            "--date",
            "2026-11-30",
            "--lane",
            "FAST",
            "--places",
            "1",
        ],
    ];
    let page: Vec<String> = commands.iter().map(|command| run(command, &[])).collect();
    expect_file![golden("usage.txt")].assert_eq(&page.join("\n"));
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], &[]);
        for word in ["register", "admin", "exit 0"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("man1");
    assert!(run(&["man", path.to_str().unwrap()], &[]).ends_with("exit 0\n"));
    let page = std::fs::read_to_string(path.join("kuota-admin-quota-set.1")).unwrap();
    let title = concat!(".TH KUOTA-ADMIN-QUOTA-SET 1  \"kuota ", env!("CARGO_PKG_VERSION"), "\" Kuota");
    assert!(page.contains(title) && page.contains("kuota\\-admin\\-quota\\-set \\-"), "{page}");
    for page in ["kuota.1", "kuota-register.1", "kuota-admin-quota-set.1"] {
        assert!(path.join(page).is_file(), "{page}");
    }
}
