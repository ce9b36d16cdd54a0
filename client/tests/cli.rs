//! The command line tool against a server in this process: what it prints, and how it ends.

mod support;

use support::friday::{Friday, kuota};

const REGISTER: [&str; 5] = ["register", "--office", "mpp-kubu-raya", "--date", "2026-11-30"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_taken_shown_and_given_back() {
    let server = Friday::open();
    let (out, _, code) = server.kuota(&["offices"], "").await;
    assert_eq!(code, 0);
    assert!(
        out.contains("kanim-pontianak             KANIM  Kantor Imigrasi Kelas I TPI Pontianak"),
        "{out}"
    );
    assert!(out.ends_with("* example: the office publishes no figure\n"), "{out}");

    let filter = ["availability", "--office", "mpp-kubu-raya", "--to", "2026-11-30", "--from", "2026-11-30"];
    let (out, _, _) = server.kuota(&filter, "").await;
    let expected = " OFFICE         SERVICE DAY  LANE     STATE  FREE  OF  OPENS\n \
                    mpp-kubu-raya  2026-11-30   REGULAR  OPEN     10  10  Fri 2026-11-27 14:00:00 WIB\n";
    assert_eq!(out, expected);

    let party = [&REGISTER[..], &["--nik", "-", "--reference", "a"]].concat();
    let (out, err, code) = server.kuota(&party, "6171012309870001\n\n6171016309870002\n").await;
    assert_eq!(code, 0, "{err}");
    for line in ["State         CONFIRMED", "Queue number  1", "NIK ending in 0001 a", "NIK ending in 0002"] {
        assert!(out.contains(line), "{line} is missing in\n{out}");
    }
    let booking = out.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    let (json, _, _) = server.kuota(&["--output", "json", "get", &booking], "").await;
    for field in ["\"state\": \"REGISTRATION_STATE_CONFIRMED\"", "\"queue_number\": 1", "\"durable\": true"] {
        assert!(json.contains(field), "{field} is missing in\n{json}");
    }
    let (out, _, code) = server.kuota(&["cancel", &booking, "--reason", "ill"], "").await;
    assert!(
        code == 0 && out.contains("State         CANCELLED") && out.contains("Reason        ill"),
        "{out}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_has_its_code_and_its_words() {
    let server = Friday::open();
    let nik = ["--nik", "6171012309870001"];
    let with = |more: &[&'static str]| [&REGISTER[..], &nik[..], more].concat();
    assert_eq!(server.kuota(&with(&[]), "").await.2, 0);
    let (url, gone) = (server.url.as_str(), "http://127.0.0.1:1");
    let rows: [(&str, Vec<&str>, i32, &str); 10] = [
        (url, with(&[]), 1, "Refused: Applicant 1 of the party already has a registration."),
        (url, vec!["get", "K7P2-9QXX"], 64, "code: the booking code is mistyped"),
        (url, vec!["get", "22222222"], 1, "there is no such registration"),
        (url, vec!["availability", "--office", "nowhere"], 1, "there is no office `nowhere`"),
        (url, vec!["availability", "--from", "tomorrow"], 64, "from_date: a calendar day"),
        (url, vec!["regster"], 64, "unrecognized subcommand 'regster'"),
        (url, with(&["--reference", "a", "--reference", "b"]), 64, "2 --reference for 1 --nik"),
        ("https://127.0.0.1:1", vec!["offices"], 64, "there is no TLS yet"),
        ("here", vec!["offices"], 64, "an address like http://127.0.0.1:50051 is allowed"),
        (gone, vec!["offices"], 69, "Is the server running?"),
    ];
    for (url, arguments, expected, words) in rows {
        let (out, err, code) = kuota(url, url, &arguments, "").await;
        assert_eq!(code, expected, "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(words), "{arguments:?}: {out}{err}");
    }
    let (out, _, code) = server.kuota(&["--output", "json", "get", "22222222"], "").await;
    assert!(code == 1 && out.contains("\"reason\": \"REGISTRATION_NOT_FOUND\""), "{out}");
    server.stop().await;
}
