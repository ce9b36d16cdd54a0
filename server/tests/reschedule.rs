//! Another place for a registration, over gRPC.

mod support;

use std::sync::Arc;

use kuota_client::{
    Admin, Ask, By, Client, Destination, EventFilter, Key, Lane, Outcome, PassportKind, Payee, Payment,
    RefusalReason, Registration, RegistrationState, Reschedule, RetryPolicy, Scope,
};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, OFFICE, PRICES, Server, catalog, held_catalog,
    held_log::{Fate, Valve},
    people::{insist, nik, refused, registered, wish, wish_for},
};

const TUESDAY: &str = "2026-12-01";
const WEDNESDAY: &str = "2026-12-02";
const ELSEWHERE: &str = "ukk-sambas";

/// Two offices: the regular lane of the first has so many places a day, and its same-day lane costs more.
fn two_offices(places: u32) -> Friday {
    let one_day = "\n[[office.lane]]\nlane = \"ONE_DAY\"\nplaces = 9\nsource = \"test\"\n";
    let text = PRICES.to_owned() + &catalog(&[(ELSEWHERE.into(), 2), (OFFICE.into(), places)]) + one_day;
    Friday::open().catalog(CatalogSource::Text { name: "test".into(), text })
}

async fn operator(server: &Server) -> Admin {
    let url = format!("http://{}", server.addresses.admin);
    Admin::builder(url).retry(RetryPolicy::none()).connect().await.unwrap()
}

fn by() -> By {
    By::new("siti", "power cut")
}

fn to(date: &str) -> Destination {
    Destination::day(date)
}

async fn reschedule(client: &Client, of: &Registration, to: Destination) -> Outcome {
    client.reschedule(&Reschedule::new(&of.id, to)).await.unwrap()
}

fn free(server: &Server, date: &str) -> u32 {
    let directory = server.engine().directory();
    let (_, entry) = directory.find(OFFICE).unwrap();
    let day = kuota_domain::calendar::ServiceDay::parse(date).unwrap();
    entry.gate(day, kuota_domain::slot::Lane::Regular).unwrap().figures().free
}

#[tokio::test]
async fn a_place_is_given_up_for_another_and_a_repeat_says_the_same_after_a_restart() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = two_offices(1).data(&data).start().await;
    let client = &server.client;
    let granted = registered(insist(client, &wish(1)).await);
    assert_eq!(refused(insist(client, &wish(2)).await).reason(), RefusalReason::SoldOut);
    let wanted = Reschedule::new(&granted.id, to(TUESDAY));
    let moved = registered(client.reschedule(&wanted).await.unwrap());
    // INV-8: the place that was left is there before the answer, and the new one is gone.
    assert_eq!((free(&server, MONDAY), free(&server, TUESDAY)), (1, 0));
    assert_eq!((moved.service_date.as_str(), &moved.code), (TUESDAY, &granted.code));
    let left = moved.rescheduled_from.as_ref().unwrap();
    assert_eq!((left.office_id.as_str(), left.service_date.as_str()), (OFFICE, MONDAY));
    assert_eq!(moved.reschedule_time, moved.update_time);
    assert_eq!(registered(client.reschedule(&wanted).await.unwrap()), moved, "again: the same");
    let by_request = client.get(Key::RequestId(wanted.request_id.clone())).await.unwrap();
    assert_eq!(by_request, moved, "the wish names it too");
    registered(insist(client, &wish(2)).await);
    let other = registered(insist(client, &wish_for(OFFICE, WEDNESDAY, 3)).await);
    for wish in [
        Reschedule { to: to(WEDNESDAY), ..wanted.clone() },
        Reschedule { id: other.id.clone(), ..wanted.clone() },
        Reschedule::new(&other.id, to(TUESDAY)).request_id(&other.request_id),
    ] {
        let error = client.reschedule(&wish).await.unwrap_err();
        assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"), "{wish:?}");
    }
    let taken = wish(1).request_id(&wanted.request_id);
    assert_eq!(client.register(&taken).await.unwrap_err().reason(), Some("REQUEST_ID_REUSED"));
    server.stop().await;

    let server = two_offices(1).data(&data).start().await;
    assert_eq!(registered(server.client.reschedule(&wanted).await.unwrap()), moved);
    assert_eq!((free(&server, MONDAY), free(&server, TUESDAY)), (0, 0));
    let taken = server.client.register(&wish(1).request_id(&wanted.request_id)).await;
    assert_eq!(taken.unwrap_err().reason(), Some("REQUEST_ID_REUSED"));
    let verdict = server.verify();
    assert!(verdict.ok && verdict.live == 3, "{verdict:?}");
    server.stop().await;
}

#[tokio::test]
async fn each_refusal_says_why_and_from_when_or_until_when() {
    let server = two_offices(2).start().await;
    let (client, admin) = (&server.client, operator(&server).await);
    let nobody = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";
    let granted = registered(insist(client, &wish(1)).await);
    for (wish, code, reason) in [
        (Reschedule::new(nobody, to(TUESDAY)), "NotFound", "REGISTRATION_NOT_FOUND"),
        (Reschedule::new(&granted.id, to(TUESDAY).office("nowhere")), "NotFound", "OFFICE_NOT_FOUND"),
        (Reschedule::new(&granted.id, to("tomorrow")), "InvalidArgument", "INVALID_FIELD"),
        (Reschedule::new("7", to(TUESDAY)), "InvalidArgument", "INVALID_FIELD"),
        (Reschedule::new(&granted.id, to(TUESDAY)).request_id(""), "InvalidArgument", "INVALID_FIELD"),
        (Reschedule::new(&granted.id, to(TUESDAY).office("")), "InvalidArgument", "INVALID_FIELD"),
        (
            Reschedule::new(&granted.id, to(TUESDAY).lane(Lane::Unspecified)),
            "InvalidArgument",
            "INVALID_FIELD",
        ),
    ] {
        let error = client.reschedule(&wish).await.unwrap_err();
        assert_eq!((format!("{:?}", error.code()).as_str(), error.reason()), (code, Some(reason)));
    }
    let refusal = async |of: &Registration, to| refused(reschedule(client, of, to).await);
    let why = async |to| refusal(&granted, to).await;
    assert_eq!(why(to(MONDAY)).await.reason(), RefusalReason::SameSlot);
    let terms = why(to(TUESDAY).lane(Lane::OneDay)).await;
    assert_eq!((terms.reason(), &*terms.metadata["term"]), (RefusalReason::TermsDiffer, "fee"));
    assert_eq!(why(to("2026-12-05")).await.reason(), RefusalReason::NotAServiceDay);
    let ahead = why(to("2026-12-14")).await;
    assert_eq!((ahead.reason(), &*ahead.metadata["horizon"]), (RefusalReason::BeyondHorizon, "2026-12-11"));
    let friday = Scope { service_date: Some("2026-12-04".into()), ..Scope::default() };
    admin.pause(&by(), &friday).await.unwrap();
    assert_eq!(why(to("2026-12-04")).await.reason(), RefusalReason::Paused);
    for person in [10, 11] {
        registered(insist(client, &wish_for(OFFICE, TUESDAY, person)).await);
    }
    assert_eq!(why(to(TUESDAY)).await.reason(), RefusalReason::SoldOut);
    assert_eq!(client.get(Key::Id(granted.id.clone())).await.unwrap(), granted, "it stands where it was");
    let in_indonesian = Client::builder(format!("http://{}", server.addresses.grpc)).language("id");
    let in_indonesian = in_indonesian.connect().await.unwrap();
    let said = refused(reschedule(&in_indonesian, &granted, to(MONDAY)).await);
    assert!(said.message.starts_with("Pendaftaran ini sudah"), "{said:?}");

    let moved = registered(reschedule(client, &granted, to(WEDNESDAY).office(ELSEWHERE)).await);
    assert_eq!((moved.office_id.as_str(), moved.lane()), (ELSEWHERE, Lane::Regular));
    let again = refusal(&moved, to(MONDAY).office(OFFICE)).await;
    let at = moved.reschedule_time.unwrap();
    let at_ms = (at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000).to_string();
    assert_eq!(again.reason(), RefusalReason::AlreadyRescheduled);
    assert_eq!(again.metadata["rescheduled_at_ms"], at_ms);
    let second = registered(insist(client, &wish(2)).await);
    server.at("2026-11-29T17:00:00Z").await;
    let late = refusal(&second, to(WEDNESDAY)).await;
    assert_eq!(late.reason(), RefusalReason::TooLateToReschedule);
    assert_eq!(late.metadata["until_ms"], support::instant("2026-11-29T17:00:00Z").0.to_string());
    client.cancel(&second.id, "").await.unwrap();
    let gone = refusal(&second, to(WEDNESDAY)).await;
    assert_eq!((gone.reason(), &*gone.metadata["state"]), (RefusalReason::NotReschedulable, "CANCELLED"));
    let page = support::process::page(&server.addresses.http.to_string(), "/metrics");
    assert!(page.contains("kuota_reschedules_total{by=\"caller\"} 1\n"), "{page}");
    assert!(page.contains("kuota_refusals_total{reason=\"SAME_SLOT\"} 2\n"), "{page}");
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn a_held_place_stays_held_and_is_paid_for_where_it_is_now() {
    let server = Friday::open().catalog(held_catalog(1)).start().await;
    let ask = |person| {
        let ask = Ask::new(OFFICE, MONDAY, Lane::Regular).applicant(nik(person), "");
        ask.passport(PassportKind::Ordinary5Years)
    };
    let held = registered(insist(&server.client, &ask(1)).await);
    let moved = registered(reschedule(&server.client, &held, to(TUESDAY)).await);
    assert_eq!((moved.state(), &moved.hold_expire_time), (RegistrationState::Held, &held.hold_expire_time));
    let payee = Payee::Billing(held.billing_reference.clone());
    let payment = Payment { payee, reference: "BRI-1".into(), amount_rupiah: 350_000 };
    server.client.confirm_payment(&payment).await.unwrap();
    let paid = server.client.get(Key::Id(held.id)).await.unwrap();
    assert_eq!((paid.state(), paid.service_date.as_str()), (RegistrationState::Confirmed, TUESDAY));
    // Another hold moves, and expires where it went.
    let second = registered(insist(&server.client, &ask(2)).await);
    registered(reschedule(&server.client, &second, to(WEDNESDAY)).await);
    assert_eq!((free(&server, MONDAY), free(&server, WEDNESDAY)), (1, 0));
    server.at("2026-11-27T09:00:00Z").await;
    assert_eq!(free(&server, WEDNESDAY), 1);
    let verdict = server.verify();
    assert!(verdict.ok && verdict.live == 1, "{verdict:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_operator_may_on_the_day_itself_and_it_does_not_count() {
    let server = two_offices(2).start().await;
    let (client, admin) = (&server.client, operator(&server).await);
    let granted = registered(insist(client, &wish(1)).await);
    server.at("2026-11-30T16:00:00Z").await;
    assert_eq!(
        refused(reschedule(client, &granted, to(TUESDAY)).await).reason(),
        RefusalReason::TooLateToReschedule
    );
    let preview = admin.preview_reschedule(&by(), &granted.id, &to(TUESDAY)).await.unwrap();
    assert!(preview.receipt.is_none() && preview.registration.unwrap() == granted, "nothing changes");
    assert_eq!(preview.slots.iter().map(|slot| slot.granted).collect::<Vec<_>>(), [0, 1]);
    let who = by();
    let answer = admin.reschedule_specially(&who, &granted.id, &to(TUESDAY)).await.unwrap();
    let moved = answer.registration.unwrap();
    assert_eq!((moved.service_date.as_str(), &moved.rescheduled_from), (TUESDAY, &None));
    let again = admin.reschedule_specially(&who, &granted.id, &to(TUESDAY)).await.unwrap();
    assert!(again.receipt.unwrap().repeated_request && again.slots.is_empty());
    assert_eq!(free(&server, TUESDAY), 1);
    // It did not count: the person's own reschedule is still to come.
    let moved = registered(reschedule(client, &moved, to(WEDNESDAY).office(ELSEWHERE)).await);
    let nobody = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";
    for (id, date, code, reason) in [
        (granted.id.as_str(), "2026-12-05", "FailedPrecondition", "NOT_A_SERVICE_DAY"),
        (&granted.id, WEDNESDAY, "FailedPrecondition", "SAME_SLOT"),
        (nobody, TUESDAY, "NotFound", "REGISTRATION_NOT_FOUND"),
        (&granted.id, "", "InvalidArgument", "INVALID_FIELD"),
    ] {
        let error = admin.reschedule_specially(&by(), id, &to(date)).await.unwrap_err();
        assert_eq!((format!("{:?}", error.code()).as_str(), error.reason()), (code, Some(reason)), "{date}");
    }
    // Its story, and the story of both offices.
    let story = async |filter: EventFilter| {
        let mut events = admin.events(&filter);
        let mut told = Vec::new();
        while let Some(event) = events.next().await.unwrap() {
            told.extend(Some(event.description).filter(|told| told.starts_with("Rescheduled")));
        }
        told
    };
    let expected = [
        format!(
            "Rescheduled from {OFFICE} on {MONDAY}, REGULAR to {OFFICE} on {TUESDAY}, REGULAR, queue number 1; it does not count."
        ),
        format!(
            "Rescheduled from {OFFICE} on {TUESDAY}, REGULAR to {ELSEWHERE} on {WEDNESDAY}, REGULAR, queue number 1."
        ),
    ];
    let of = EventFilter { registration_id: Some(granted.id), ..EventFilter::default() };
    assert_eq!(story(of).await, expected);
    let here = EventFilter { office_id: Some(OFFICE.into()), ..EventFilter::default() };
    assert_eq!(story(here).await, expected, "who leaves is part of an office's story");
    let there = EventFilter { office_id: Some(ELSEWHERE.into()), ..EventFilter::default() };
    assert_eq!(story(there).await, expected[1..]);
    let mut export = admin.export(&kuota_client::ExportFilter::default()).await.unwrap();
    let row = export.next().await.unwrap().unwrap().remove(0);
    assert_eq!(
        (&row.rescheduled_from, &row.reschedule_time),
        (&moved.rescheduled_from, &moved.reschedule_time)
    );
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reschedule_whose_commit_fails_never_happened() {
    let valve = Valve::default();
    let server = two_offices(1).log(valve.wrap()).start().await;
    let granted = registered(insist(&server.client, &wish(1)).await);
    valve.set(Fate::Full);
    let wanted = Reschedule::new(&granted.id, to(TUESDAY));
    let error = server.client.reschedule(&wanted).await.unwrap_err();
    assert_eq!(error.reason(), Some("LOG_FULL"));
    valve.set(Fate::Pass);
    assert_eq!(server.client.get(Key::Id(granted.id.clone())).await.unwrap(), granted);
    assert_eq!((free(&server, MONDAY), free(&server, TUESDAY)), (0, 1));
    registered(server.client.reschedule(&wanted).await.unwrap());
    assert_eq!((free(&server, MONDAY), free(&server, TUESDAY)), (1, 0));
    assert!(server.verify().ok);
    server.stop().await;
}

/// Everybody of Monday wants to Tuesday while others ask for Tuesday too: no place is given twice, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_move_and_those_who_come_share_the_same_places() {
    const PLACES: u32 = 40;
    let server = two_offices(PLACES).start().await;
    let mut here = Vec::new();
    for person in 0..PLACES {
        here.push(registered(insist(&server.client, &wish(person)).await));
    }
    let movers = here.into_iter().map(|granted| {
        let client = server.client.clone();
        tokio::spawn(async move {
            loop {
                let outcome = reschedule(&client, &granted, to(TUESDAY)).await;
                match outcome {
                    Outcome::Refused(refusal) if refusal.reason() == RefusalReason::Busy => {}
                    Outcome::Refused(refusal) => {
                        assert_eq!(refusal.reason(), RefusalReason::SoldOut);
                        return false;
                    }
                    Outcome::Registered(_) => return true,
                }
            }
        })
    });
    let movers: Vec<_> = movers.collect();
    let comers: Vec<_> = (0..PLACES)
        .map(|person| {
            let client = server.client.clone();
            tokio::spawn(async move {
                let ask = wish_for(OFFICE, TUESDAY, 1_000 + person);
                matches!(insist(&client, &ask).await, Outcome::Registered(_))
            })
        })
        .collect();
    let (mut moved, mut came) = (0, 0);
    for mover in movers {
        moved += u32::from(mover.await.unwrap());
    }
    for comer in comers {
        came += u32::from(comer.await.unwrap());
    }
    assert_eq!(moved + came, PLACES, "Tuesday is full");
    assert_eq!((free(&server, MONDAY), free(&server, TUESDAY)), (moved, 0));
    // Nothing is stranded: what the movers left can be had, to the last place.
    for person in 0..moved {
        registered(insist(&server.client, &wish(2_000 + person)).await);
    }
    assert_eq!(refused(insist(&server.client, &wish(3_000)).await).reason(), RefusalReason::SoldOut);
    let verdict = server.verify();
    assert!(verdict.ok && verdict.oversold == 0, "{verdict:?}");
    server.stop().await;
}
