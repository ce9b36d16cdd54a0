//! The house stays tidy: who may see whom, and how large a file may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines at which a file is split by noun.
const LINES_MAX: usize = 500;

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Lines of code that name something, without comments, and without the tests at the end of a file: they may compare
/// what the code must not see.
fn naming<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    text.lines().filter(code).find(|line| line.contains(name))
}

#[test]
fn each_layer_sees_only_what_is_below_it() {
    let rules: [(&str, &[&str]); 12] = [
        (
            "server/domain/src",
            &["tokio", "tonic::", "rusqlite", "prost", "kuota_api", "SystemTime", "Instant", "std::fs"],
        ),
        (
            "server/src/log",
            &["tonic::", "crate::engine", "crate::grpc", "crate::console", "crate::app", "crate::config"],
        ),
        (
            "server/src/engine",
            &[
                "tonic",
                "rusqlite",
                "kuota_api",
                "crate::grpc",
                "crate::console",
                "crate::app",
                "crate::config",
            ],
        ),
        ("server/src/grpc", &["rusqlite", "crate::log", "crate::app", "crate::config", "crate::console"]),
        (
            "server/src/console",
            &["tonic::", "rusqlite", "crate::log", "crate::app", "crate::config", "crate::grpc"],
        ),
        (
            "server/src/telemetry",
            &["tonic::", "rusqlite", "crate::engine", "crate::log", "crate::grpc", "crate::app"],
        ),
        (
            "server/src/catalog_file",
            &[
                "tonic::",
                "rusqlite",
                "crate::engine",
                "crate::log",
                "crate::grpc",
                "crate::app",
                "crate::config",
            ],
        ),
        (
            "server/src/config",
            &["tonic::", "rusqlite", "crate::engine", "crate::log", "crate::grpc", "crate::app"],
        ),
        ("client/src", &["kuota_domain", "kuota_server", "rusqlite"]),
        (
            "loadtest/src",
            &["kuota_domain", "rusqlite", "kuota_server::engine", "kuota_server::log", "kuota_server::grpc"],
        ),
        // The plan is pure: the same on every machine, at every time.
        ("loadtest/src/plan", &["tokio", "tonic", "h2::", "Instant", "SystemTime", "std::fs"]),
        (
            "loadtest/src/driver",
            &["tonic", "kuota_client", "crate::verify", "crate::target", "crate::report"],
        ),
    ];
    for (directory, forbidden) in rules {
        for path in sources(&root().join(directory)) {
            let text = fs::read_to_string(&path).unwrap();
            for name in forbidden {
                if let Some(line) = naming(&text, name) {
                    panic!("{} must not see {name}: {line}", path.display());
                }
            }
        }
    }
    for file in
        ["app.rs", "backup.rs", "main.rs", "clock.rs", "data_dir.rs", "exit.rs", "lib.rs", "located.rs"]
    {
        let text = fs::read_to_string(root().join("server/src").join(file)).unwrap();
        for name in ["tonic::", "rusqlite"] {
            assert_eq!(naming(&text, name), None, "{file} must not see {name}");
        }
    }
}

#[test]
fn the_oracle_shares_no_rule_with_the_ledger() {
    for path in sources(&root().join("server/src/verify")) {
        let text = fs::read_to_string(path).unwrap();
        for name in ["kuota_domain", "crate::engine", "decode_events", "tonic::", "rusqlite"] {
            assert_eq!(naming(&text, name), None, "an oracle that copies the bug is none");
        }
    }
}

#[test]
fn no_file_outgrows_its_noun_and_no_test_waits_for_time_to_pass() {
    let pause = ["sleep", "("].concat();
    for directory in ["proto", "server", "client", "loadtest"] {
        for path in sources(&root().join(directory)) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.lines().count() <= LINES_MAX, "{} is longer than {LINES_MAX} lines", path.display());
            if path.to_string_lossy().contains("/tests/") {
                assert!(!text.contains(&pause), "{} waits for time to pass", path.display());
            }
        }
    }
}
