//! The examples run to their end against a real server.

#[path = "support/friday.rs"]
#[allow(dead_code, reason = "the tool is not needed here")]
#[allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]
mod friday;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use friday::Friday;

fn example(name: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_kuota")).parent().unwrap();
    let path = programs.join("examples").join(name);
    assert!(path.exists(), "{}: cargo build --examples makes it", path.display());
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_runs_to_its_end() {
    let server = Friday::open();
    for (name, said) in [
        ("register", "kanim-pontianak"),
        ("batch", "registered"),
        ("operate", "places Some("),
        ("watch", "places free"),
    ] {
        let mut command = Command::new(example(name));
        command.arg(&server.url).arg(&server.admin_url);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && out.contains(said), "{name}: {out}{complained}");
    }
    server.stop().await;
}
