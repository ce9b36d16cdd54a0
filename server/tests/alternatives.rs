//! What refusals say of what else is free: only what is, and at once no more when it is gone.

mod support;

use kuota_api::v1::{self, register_batch_item, registration_service_client::RegistrationServiceClient};
use kuota_client::{Ask, Client, Destination, Lane, Refusal, RefusalReason, Reschedule};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, Server, T0,
    operator::{command, operator, scope},
    people::{nik, refused, registered},
};

const TUESDAY: &str = "2026-12-01";
const WEDNESDAY: &str = "2026-12-02";
const CLOSING: &str = "2026-11-30T08:00:00Z";

/// Two offices on one spot: one with two lanes, and on each day one place here and so many there.
fn two_offices(there: u32) -> CatalogSource {
    let one_day =
        "\n[[office.lane]]\nlane = \"ONE_DAY\"\nplaces = 1\nsource = \"test\"\ncut_off_time = \"10:00\"\n";
    let offices = support::catalog(&[("there".into(), there), ("here".into(), 1)]);
    CatalogSource::Text { name: "test".into(), text: offices + one_day + support::PRICES }
}

fn ask(office: &str, day: &str, lane: Lane, people: std::ops::Range<u32>) -> Ask {
    people.fold(Ask::new(office, day, lane), |ask, person| ask.applicant(nik(person), ""))
}

async fn take(client: &Client, slots: &[(&str, &str, Lane)], person: u32) {
    for ((office, day, lane), person) in slots.iter().zip(person..) {
        registered(client.register(&ask(office, day, *lane, person..person + 1)).await.unwrap());
    }
}

/// An alternative in a line.
fn line(one: &v1::Alternative) -> String {
    let lane = one.lane().as_str_name().trim_start_matches("LANE_").to_lowercase();
    format!("{} {} {lane} {}", one.office_id, &one.service_date[5..], one.available)
}

fn named(refusal: &Refusal) -> Vec<String> {
    refusal.alternatives.iter().map(line).collect()
}

async fn told(client: &Client, ask: &Ask) -> (RefusalReason, Vec<String>) {
    let refusal = refused(client.register(ask).await.unwrap());
    (refusal.reason(), named(&refusal))
}

/// A Friday on which Monday's place here is taken.
async fn sold_out(there: u32) -> Server {
    let server = Friday::open().catalog(two_offices(there)).start().await;
    take(&server.client, &[("here", MONDAY, Lane::Regular)], 0).await;
    server
}

#[tokio::test]
async fn whoever_is_refused_is_told_what_else_is_free_until_it_is_gone() {
    use RefusalReason::SoldOut;
    let server = sold_out(1).await;
    let client = &server.client;
    let late = ask("here", MONDAY, Lane::Regular, 500..501);
    let days =
        |days: &[&str]| -> Vec<String> { days.iter().map(|day| format!("here {day} regular 1")).collect() };
    let first = refused(client.register(&late).await.unwrap());
    let (one_day, there) = ("here 11-30 one_day 1".to_owned(), "there 11-30 regular 1".to_owned());
    assert_eq!(
        named(&first),
        [days(&["12-01"]), vec![one_day.clone(), there.clone()], days(&["12-02", "11-27"])].concat()
    );
    let surcharges: Vec<_> = first.alternatives.iter().map(|one| one.surcharge_rupiah).collect();
    assert_eq!(surcharges, [0, 1_000_000, 0, 0, 0]);

    // The clock stands still: nobody looked anew, and yet nothing is named that is gone.
    take(client, &[("here", TUESDAY, Lane::Regular)], 10).await;
    let second = [days(&["12-02"]), vec![one_day, there], days(&["11-27", "12-03"])].concat();
    assert_eq!(told(client, &late).await, (SoldOut, second));
    take(client, &[("there", MONDAY, Lane::Regular), ("here", MONDAY, Lane::OneDay)], 20).await;
    assert_eq!(told(client, &late).await, (SoldOut, days(&["12-02", "11-27", "12-03", "12-04"])));
    for (day, person) in [WEDNESDAY, "2026-11-27", "2026-12-03", "2026-12-04"].into_iter().zip(30..) {
        take(client, &[("here", day, Lane::Regular)], person).await;
    }
    assert_eq!(told(client, &late).await, (SoldOut, vec![]));
    server.stop().await;
}

#[tokio::test]
async fn what_came_free_since_is_named_a_second_later() {
    let server = Friday::open().catalog(two_offices(1)).start().await;
    let client = &server.client;
    let there = registered(client.register(&ask("there", MONDAY, Lane::Regular, 1..2)).await.unwrap());
    take(client, &[("here", MONDAY, Lane::Regular)], 2).await;
    let late = ask("here", MONDAY, Lane::Regular, 500..501);
    let line = "there 11-30 regular 1".to_owned();
    assert!(!told(client, &late).await.1.contains(&line));
    registered(client.cancel(&there.id, "ill").await.unwrap());
    server.clock.set(support::instant(T0).plus_ms(1_000));
    // The first to be refused then has it looked for.
    told(client, &late).await;
    assert!(told(client, &late).await.1.contains(&line));
    server.stop().await;
}

#[tokio::test]
async fn each_reason_that_leaves_alternatives_has_them_and_no_other() {
    use RefusalReason::{AlreadyRegistered, Closed, NotEnoughPlaces, NotOpenYet, PastCutOff, Paused};
    let server = sold_out(9).await;
    let client = &server.client;
    let three = ask("here", TUESDAY, Lane::Regular, 500..503);
    // Only where all three have room.
    assert_eq!(told(client, &three).await, (NotEnoughPlaces, vec!["there 12-01 regular 9".into()]));
    let again = ask("here", TUESDAY, Lane::Regular, 0..1);
    assert_eq!(told(client, &again).await, (AlreadyRegistered, vec![]));

    let mut admin = operator(&server).await;
    let pause = v1::PauseRequest { command: command(1), scope: scope(Some("here"), Some(WEDNESDAY), None) };
    admin.pause(pause).await.unwrap();
    let (reason, found) = told(client, &ask("here", WEDNESDAY, Lane::Regular, 500..501)).await;
    let near = ["here 12-01 regular 1", "there 12-02 regular 9", "here 12-03 regular 1"];
    let expected = [&near[..], &["here 12-04 regular 1", "here 11-27 regular 1"]].concat();
    assert_eq!((reason, found), (Paused, expected.into_iter().map(Into::into).collect()));

    server.at("2026-11-30T03:00:00Z").await;
    let (reason, found) = told(client, &ask("here", MONDAY, Lane::OneDay, 500..501)).await;
    // Monday is taken by the regular lane, and nobody is sent to a paused Wednesday.
    let expected = ["here 12-01 one_day 1", "here 12-03 one_day 1", "here 12-04 one_day 1"];
    assert_eq!((reason, found), (PastCutOff, expected.map(Into::into).to_vec()));

    server.at(CLOSING).await;
    let (reason, found) = told(client, &ask("there", MONDAY, Lane::Regular, 500..501)).await;
    let expected =
        ["there 12-01 regular 9", "there 12-02 regular 9", "there 12-03 regular 9", "there 12-04 regular 9"];
    assert_eq!((reason, found), (Closed, expected.map(Into::into).to_vec()));
    server.stop().await;

    let early = Friday::at("2026-11-27T06:00:00Z").catalog(two_offices(9)).start().await;
    assert_eq!(told(&early.client, &three).await, (NotOpenYet, vec![]));
    early.stop().await;
}

/// One row for each answer: somebody of Tuesday would come on another day, or elsewhere. Neither the place they have nor a
/// lane that costs something else is named: they could not go there.
#[tokio::test]
async fn a_refused_reschedule_says_where_else_the_registration_may_go() {
    use RefusalReason::{Closed, NotEnoughPlaces, Paused, SameSlot, SoldOut, TermsDiffer};
    let server = sold_out(9).await;
    let client = &server.client;
    let one = registered(client.register(&ask("here", TUESDAY, Lane::Regular, 1..2)).await.unwrap());
    let two = registered(client.register(&ask("there", "2026-12-04", Lane::Regular, 2..4)).await.unwrap());
    let mut admin = operator(&server).await;
    let pause = v1::PauseRequest { command: command(1), scope: scope(Some("there"), Some(WEDNESDAY), None) };
    admin.pause(pause).await.unwrap();
    // There is a place at the price of a passport alone, and one for more.
    let days = ["here 12-02 regular 1", "there 11-30 regular 9", "here 11-27 regular 1"];
    let sold_out = [&days[..], &["here 12-03 regular 1", "here 12-04 regular 1"]].concat();
    let near = ["there 12-01 regular 9", "there 12-03 regular 9", "there 11-30 regular 9"];
    let paused = [&near[..1], &["here 12-02 regular 1"], &near[1..], &["there 12-04 regular 7"]].concat();
    // On the fourth there is room, and there they are.
    let closed = ["there 12-01 regular 9", "there 12-03 regular 9"];
    type Row<'a> = (&'a str, &'a v1::Registration, Destination, RefusalReason, Vec<&'a str>);
    let to = |date: &str, office: &str| Destination::day(date).office(office);
    let rows: [Row<'_>; 7] = [
        (T0, &one, to(MONDAY, "here"), SoldOut, sold_out),
        (T0, &one, to(WEDNESDAY, "there"), Paused, paused),
        (T0, &two, to(WEDNESDAY, "here"), NotEnoughPlaces, vec![]),
        (T0, &two, to(TUESDAY, "here"), SoldOut, vec!["there 12-01 regular 9"]),
        (T0, &one, to(TUESDAY, "here"), SameSlot, vec![]),
        (T0, &one, to(MONDAY, "here").lane(Lane::OneDay), TermsDiffer, vec![]),
        (CLOSING, &two, to(MONDAY, "there"), Closed, closed.to_vec()),
    ];
    for (at, of, to, reason, expected) in rows {
        server.at(at).await;
        let outcome = client.reschedule(&Reschedule::new(&of.id, to)).await.unwrap();
        let refusal = refused(outcome);
        assert_eq!(
            (refusal.reason(), named(&refusal)),
            (reason, expected.into_iter().map(Into::into).collect())
        );
    }
    // What was named can be had.
    let wish = Reschedule::new(&two.id, to("2026-12-03", "there"));
    registered(client.reschedule(&wish).await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn the_items_of_a_batch_say_the_same() {
    let server = sold_out(2).await;
    let late = ask("here", MONDAY, Lane::Regular, 500..501);
    let alone = refused(server.client.register(&late).await.unwrap());
    assert_eq!(alone.alternatives.len(), 5);
    let url = format!("http://{}", server.addresses.grpc);
    let mut client = RegistrationServiceClient::connect(url).await.unwrap();
    let request = |id: u128, people: std::ops::Range<u32>| v1::RegisterRequest {
        request_id: uuid::Uuid::from_u128(id).to_string(),
        office_id: "here".into(),
        service_date: MONDAY.into(),
        lane: Lane::Regular.into(),
        applicants: people.map(|n| v1::Applicant { nik: nik(n), ..Default::default() }).collect(),
        ..Default::default()
    };
    let requests = vec![request(1, 600..601), request(2, 601..603)];
    let items =
        client.register_batch(v1::RegisterBatchRequest { requests }).await.unwrap().into_inner().items;
    let named: Vec<_> = items
        .into_iter()
        .map(|item| match item.outcome {
            Some(register_batch_item::Outcome::Refusal(refusal)) => refusal.alternatives,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named[0], alone.alternatives);
    // A party of two.
    assert_eq!(named[1].iter().map(line).collect::<Vec<_>>(), ["there 11-30 regular 2"]);
    server.stop().await;
}

#[tokio::test]
async fn an_office_that_left_the_catalogue_is_named_no_more_and_surcharges_are_those_in_force() {
    let server = sold_out(2).await;
    let late = ask("here", MONDAY, Lane::Regular, 500..501);
    let before = refused(server.client.register(&late).await.unwrap());
    assert_eq!(
        (before.alternatives[1].surcharge_rupiah, &*before.alternatives[2].office_id),
        (1_000_000, "there")
    );
    let CatalogSource::Text { text, .. } = two_offices(2) else { panic!() };
    let (before_office, from_there) = text.split_once("[[office]]\nid = \"there\"").unwrap();
    let (_, from_here) = from_there.split_once("[[office]]").unwrap();
    let toml = format!("{before_office}[[office]]{from_here}").replace("1000000", "500000");
    let request = v1::ApplyCatalogRequest { command: command(1), toml, ..Default::default() };
    operator(&server).await.apply_catalog(request).await.unwrap();
    let after = refused(server.client.register(&late).await.unwrap());
    assert_eq!(named(&after)[0..2], ["here 12-01 regular 1", "here 11-30 one_day 1"]);
    assert_eq!(after.alternatives[1].surcharge_rupiah, 500_000);
    assert!(after.alternatives.iter().all(|one| one.office_id == "here"), "{after:?}");
    server.stop().await;
}
