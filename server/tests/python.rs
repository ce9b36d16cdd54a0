//! A client in another language, made from proto/ or from reflection alone, can call everything.

mod support;

use std::{path::Path, process::Command};

use support::process::Process;

#[test]
fn a_python_client_calls_everything_by_generated_code_and_by_reflection() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/tools/bin/python3");
    assert!(python.exists(), "grpcio is not installed: run deploy/test once");
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo"]);
    let mut client = Command::new(python);
    client.arg("-B").arg(root.join("server/tests/python/every_call.py")).arg(root.join("proto"));
    let output = client.arg(&process.grpc).arg(&process.admin).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(said, "generated: every call\nreflected: every call\n");
}
