//! HTTP/2 as it comes: an ask in one piece or many, an ask that is none, a caller who gives little time.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request};
use kuota_api::v1::{self, register_response::Outcome};
use kuota_domain::time::UnixMillis;
use prost::Message as _;
use support::{
    Friday, MONDAY, OFFICE, Server,
    held_log::{Fate, Valve},
    people::nik,
};

/// A connection without anything that makes calls convenient.
struct Wire(h2::client::SendRequest<Bytes>);

/// How a call ended, and with what.
type Ended = (i32, Option<v1::RegisterResponse>);

impl Wire {
    async fn to(server: &Server) -> Self {
        let socket = tokio::net::TcpStream::connect(server.addresses.grpc).await.unwrap();
        let (calls, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self(calls)
    }

    /// Calls `Register` with a body in these pieces; the stream ends with the last of them.
    async fn register(&self, pieces: &[&[u8]], headers: &[(&'static str, &'static str)]) -> Ended {
        let mut request = Request::post(format!("http://{OFFICE}/kuota.v1.RegistrationService/Register"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut calls = self.0.clone().ready().await.unwrap();
        let (answer, mut body) = calls.send_request(request.body(()).unwrap(), pieces.is_empty()).unwrap();
        for (index, piece) in pieces.iter().enumerate() {
            body.send_data(Bytes::copy_from_slice(piece), index + 1 == pieces.len()).unwrap();
            // Each piece leaves by itself.
            tokio::task::yield_now().await;
        }
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut message = Vec::new();
        while let Some(data) = body.data().await {
            message.extend_from_slice(&data.unwrap());
        }
        let trailers = body.trailers().await.unwrap();
        let status =
            |headers: &HeaderMap| headers.get("grpc-status").map(|code| code.to_str().unwrap().parse());
        let code = status(&head.headers).or_else(|| trailers.as_ref().and_then(status)).unwrap().unwrap();
        (code, message.get(5..).map(|message| v1::RegisterResponse::decode(message).unwrap()))
    }
}

fn ask(number: u32) -> v1::RegisterRequest {
    v1::RegisterRequest {
        request_id: uuid::Uuid::from_u128(u128::from(number) + 1).to_string(),
        office_id: OFFICE.into(),
        service_date: MONDAY.into(),
        lane: v1::Lane::Regular.into(),
        applicants: vec![v1::Applicant {
            nik: nik(number),
            reference: format!("person {number}"),
            ..Default::default()
        }],
        durability: v1::Durability::Unspecified.into(),
        ..Default::default()
    }
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn registered(ended: Ended) -> v1::Registration {
    match ended {
        (0, Some(v1::RegisterResponse { outcome: Some(Outcome::Registration(registration)), .. })) => {
            registration
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_ask_is_understood_in_whatever_pieces_it_comes() {
    let server = Friday::open().places(5).start().await;
    let wire = Wire::to(&server).await;
    let body = framed(0, &ask(1).encode_to_vec());
    let first = registered(wire.register(&[&body], &[]).await);
    for pieces in [vec![&body[..], &[]], vec![&body[..3], &body[3..]], vec![&body[..40], &body[40..], &[]]] {
        assert_eq!(registered(wire.register(&pieces, &[]).await), first, "{pieces:?}");
    }
    let identity = [("grpc-encoding", "identity")];
    assert_eq!(registered(wire.register(&[&body], &identity).await), first);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_ask_is_an_error_and_changes_nothing() {
    let server = Friday::open().places(5).start().await;
    let before = server.verify().events;
    let wire = Wire::to(&server).await;
    let message = ask(1).encode_to_vec();
    let two = [framed(0, &message), framed(0, &message)].concat();
    let long = [&[0][..], &u32::MAX.to_be_bytes(), &message].concat();
    for (pieces, headers, code) in [
        (vec![], vec![], 13),
        (vec![&[][..]], vec![], 13),
        (vec![&framed(1, &message)[..]], vec![], 13),
        (vec![&framed(0, &message[..9])[..]], vec![], 13),
        (vec![&framed(0, &message)[..20]], vec![], 13),
        (vec![&long[..]], vec![], 11),
        (vec![&framed(0, &message)[..]], vec![("grpc-encoding", "gzip")], 12),
        (vec![&framed(0, &[])[..]], vec![], 3),
    ] {
        let (found, answer) = wire.register(&pieces, &headers).await;
        assert_eq!((found, answer), (code, None), "{pieces:?} {headers:?}");
    }
    assert_eq!(server.verify().events, before);
    // Generated code reads the first of two messages, and so does this.
    registered(wire.register(&[&two], &[]).await);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_speaks_the_language_asked_for_and_tells_the_time() {
    let server = Friday::open().places(1).start().await;
    let wire = Wire::to(&server).await;
    registered(wire.register(&[&framed(0, &ask(1).encode_to_vec())], &[]).await);
    let body = framed(0, &ask(2).encode_to_vec());
    let UnixMillis(now_ms) = support::instant(support::T0);
    for (headers, words) in [
        (vec![], "No place is left on this day."),
        (vec![("accept-language", "id")], "Kuota untuk hari ini sudah habis."),
    ] {
        let (code, answer) = wire.register(&[&body], &headers).await;
        let answer = answer.unwrap();
        let Some(Outcome::Refusal(refusal)) = answer.outcome else { panic!("{answer:?}") };
        let reason = v1::RefusalReason::SoldOut;
        assert_eq!((code, refusal.reason(), &*refusal.message), (0, reason, words));
        assert_eq!(answer.server_time.unwrap().seconds * 1_000, now_ms);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_little_time_is_told_so_and_finds_the_place_later() {
    let valve = Valve::default();
    let server = Friday::open().places(1).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let wire = Wire::to(&server).await;
    let body = framed(0, &ask(1).encode_to_vec());
    assert_eq!(wire.register(&[&body], &[("grpc-timeout", "50m")]).await, (4, None), "DEADLINE_EXCEEDED");
    valve.set(Fate::Pass);
    registered(wire.register(&[&body], &[]).await);
    let verdict = server.verify();
    assert_eq!((verdict.grants, verdict.ok), (1, true), "once");
    server.stop().await;
}
