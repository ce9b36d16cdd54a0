//! The command line tool against a server in this process: what it prints, and how it ends.

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
};
use tokio::{sync::oneshot, task::JoinHandle};

struct Server {
    url: String,
    _data: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// West Kalimantan on a Friday at 14:00.
fn friday() -> Server {
    let data = tempfile::tempdir().unwrap();
    let mut settings = Settings::load(Source::default(), None).unwrap();
    settings.data = data.path().into();
    for address in [&mut settings.listen, &mut settings.admin_listen, &mut settings.http_listen] {
        address.set_port(0);
    }
    let now = "2026-11-27T07:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let app = App::start(&settings, Arc::new(ManualClock::at(UnixMillis(now))), None).unwrap();
    let url = format!("http://{}", app.addresses().unwrap().grpc);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        app.run(async { drop(stopped.await) }).await.unwrap();
    });
    Server { url, _data: data, stop, running }
}

/// What a command printed on stdout and stderr, and its exit code.
async fn kuota(url: &str, arguments: &[&str], input: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kuota"));
    command.args(["--url", url]).args(arguments).env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

const REGISTER: [&str; 5] = ["register", "--office", "mpp-kubu-raya", "--date", "2026-11-30"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_taken_shown_and_given_back() {
    let server = friday();
    let (out, _, code) = kuota(&server.url, &["offices"], "").await;
    assert_eq!(code, 0);
    assert!(
        out.contains("kanim-pontianak             KANIM  Kantor Imigrasi Kelas I TPI Pontianak"),
        "{out}"
    );
    assert!(out.ends_with("* example: the office publishes no figure\n"), "{out}");

    let filter = ["availability", "--office", "mpp-kubu-raya", "--to", "2026-11-30", "--from", "2026-11-30"];
    let (out, _, _) = kuota(&server.url, &filter, "").await;
    let expected = " OFFICE         SERVICE DAY  LANE     STATE  FREE  OF  OPENS\n \
                    mpp-kubu-raya  2026-11-30   REGULAR  OPEN     10  10  Fri 2026-11-27 14:00:00 WIB\n";
    assert_eq!(out, expected);

    let party = [&REGISTER[..], &["--nik", "-", "--reference", "a"]].concat();
    let (out, err, code) = kuota(&server.url, &party, "6171012309870001\n\n6171016309870002\n").await;
    assert_eq!(code, 0, "{err}");
    for line in ["State         CONFIRMED", "Queue number  1", "NIK ending in 0001 a", "NIK ending in 0002"] {
        assert!(out.contains(line), "{line} is missing in\n{out}");
    }
    let booking = out.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    let (json, _, _) = kuota(&server.url, &["--output", "json", "get", &booking], "").await;
    for field in ["\"state\": \"REGISTRATION_STATE_CONFIRMED\"", "\"queue_number\": 1", "\"durable\": true"] {
        assert!(json.contains(field), "{field} is missing in\n{json}");
    }
    let (out, _, code) = kuota(&server.url, &["cancel", &booking, "--reason", "ill"], "").await;
    assert!(
        code == 0 && out.contains("State         CANCELLED") && out.contains("Reason        ill"),
        "{out}"
    );
    drop(server.stop);
    server.running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_has_its_code_and_its_words() {
    let server = friday();
    let nik = ["--nik", "6171012309870001"];
    let with = |more: &[&'static str]| [&REGISTER[..], &nik[..], more].concat();
    assert_eq!(kuota(&server.url, &with(&[]), "").await.2, 0);
    let gone = "http://127.0.0.1:1";
    let rows: [(&str, Vec<&str>, i32, &str); 10] = [
        (&server.url, with(&[]), 1, "Refused: Applicant 0 (counted from 0) already has a registration."),
        (&server.url, vec!["get", "K7P2-9QXX"], 64, "code: the booking code is mistyped"),
        (&server.url, vec!["get", "22222222"], 1, "there is no such registration"),
        (&server.url, vec!["availability", "--office", "nowhere"], 1, "there is no office `nowhere`"),
        (&server.url, vec!["availability", "--from", "tomorrow"], 64, "from_date: a calendar day"),
        (&server.url, vec!["regster"], 64, "unrecognized subcommand 'regster'"),
        (&server.url, with(&["--reference", "a", "--reference", "b"]), 64, "2 --reference for 1 --nik"),
        ("https://127.0.0.1:1", vec!["offices"], 64, "there is no TLS yet"),
        ("here", vec!["offices"], 64, "an address like http://127.0.0.1:50051 is allowed"),
        (gone, vec!["offices"], 69, "Is the server running?"),
    ];
    for (url, arguments, expected, words) in rows {
        let (out, err, code) = kuota(url, &arguments, "").await;
        assert_eq!(code, expected, "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(words), "{arguments:?}: {out}{err}");
    }
    let (out, _, code) = kuota(&server.url, &["--output", "json", "get", "22222222"], "").await;
    assert!(code == 1 && out.contains("\"reason\": \"REGISTRATION_NOT_FOUND\""), "{out}");
    drop(server.stop);
    server.running.await.unwrap();
}
