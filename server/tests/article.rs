//! The article this began with: on Friday at 14:00 Pontianak's week opens, 120 places a day go to thousands who ask, and
//! whoever comes too late is told of other days, of work units and service malls, and of the passport on the same day.
//! With the catalogue of West Kalimantan as it is shipped.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use kuota_client::{
    Alternative, Ask, Client, Lane, OfficeKind, Outcome, Refusal, RefusalReason, Registration,
};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, OFFICE,
    people::{insist, nik, refused, registered},
};

const WEEK: [&str; 5] = [MONDAY, "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04"];
const PLACES_A_DAY: usize = 120;
const ASKS_A_DAY: u32 = 600;
const CONNECTIONS: usize = 8;

/// Everyone asks at once, over several connections; in the order of the asks, what each was told.
async fn all_at_once(clients: &[Client], asks: &[Ask]) -> Vec<Outcome> {
    let with_clients = asks.iter().cloned().zip(clients.iter().cycle().cloned());
    let calls: Vec<_> =
        with_clients.map(|(ask, client)| tokio::spawn(async move { insist(&client, &ask).await })).collect();
    let mut outcomes = Vec::with_capacity(calls.len());
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    outcomes
}

/// The first alternative of a kind.
fn first(refusal: &Refusal, is: impl Fn(&Alternative) -> bool) -> &Alternative {
    refusal.alternatives.iter().find(|one| is(one)).unwrap_or_else(|| panic!("none in {refusal:?}"))
}

async fn take(client: &Client, one: &Alternative, person: u32) -> Registration {
    let ask = Ask::new(&one.office_id, &one.service_date, one.lane()).applicant(nik(person), "");
    registered(client.register(&ask).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_opens_is_gone_and_the_refused_find_another_way() {
    let server = Friday::at("2026-11-27T06:59:59.999Z").catalog(CatalogSource::built_in()).start().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.connect().await);
    }
    // A millisecond too early, nobody gets anything.
    let person = |day: usize, number: u32| u32::try_from(day).unwrap() * ASKS_A_DAY + number;
    let ask = |day: usize, number: u32| {
        Ask::new(OFFICE, WEEK[day], Lane::Regular).applicant(nik(person(day, number)), "")
    };
    assert_eq!(refused(clients[0].register(&ask(0, 0)).await.unwrap()).reason(), RefusalReason::NotOpenYet);
    server.clock.set(support::instant(support::T0));

    // All days but the last are stormed at once; then, with that one still free, somebody comes too late for Monday.
    let asks: Vec<Ask> = (0..ASKS_A_DAY)
        .flat_map(|number| (0..4).map(move |day| (day, number)))
        .map(|(day, n)| ask(day, n))
        .collect();
    let mut granted: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for outcome in all_at_once(&clients, &asks).await {
        match outcome {
            Outcome::Registered(found) => {
                granted.entry(found.service_date).or_default().insert(found.queue_number);
            }
            Outcome::Refused(refusal) => assert_eq!(refusal.reason(), RefusalReason::SoldOut),
        }
    }
    for day in &WEEK[..4] {
        assert_eq!(granted[*day], (1..=120).collect(), "{day}: {PLACES_A_DAY} places, each once");
    }

    let offices = server.client.offices().await.unwrap();
    let kind = |one: &Alternative| offices.iter().find(|office| office.id == one.office_id).unwrap().kind();
    let late = 10_000;
    let too_late = Ask::new(OFFICE, MONDAY, Lane::Regular).applicant(nik(late), "");
    let refusal = refused(server.client.register(&too_late).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::SoldOut);
    assert!(refusal.alternatives.len() <= 5, "{refusal:?}");
    let another_day = first(&refusal, |one| one.office_id == OFFICE && one.lane() == Lane::Regular);
    let same_day = first(&refusal, |one| one.lane() == Lane::OneDay);
    let unit = first(&refusal, |one| kind(one) == OfficeKind::Ukk);
    let mall = first(&refusal, |one| kind(one) == OfficeKind::Mpp);
    // Three days off, and the days between are gone.
    assert_eq!((&*another_day.service_date, another_day.available), ("2026-11-27", 120));
    assert_eq!(
        (&*same_day.service_date, same_day.surcharge_rupiah, same_day.distance_m),
        (MONDAY, 1_000_000, 0)
    );
    assert_eq!((&*unit.office_id, unit.distance_m / 1_000), ("ukk-mempawah", 62));
    assert_eq!((&*mall.office_id, mall.distance_m / 100), ("mpp-pontianak-selatan", 10));
    for (one, number) in [another_day, same_day, unit, mall].into_iter().zip(1..) {
        let found = take(&server.client, one, late + number).await;
        assert_eq!((&found.office_id, &found.service_date), (&one.office_id, &one.service_date));
        assert_eq!(found.lane(), one.lane());
    }

    // The last day goes too, then the malls, the unit and the same-day lane: each is named until it is gone.
    let friday: Vec<Ask> = (0..ASKS_A_DAY).map(|number| ask(4, number)).collect();
    let got = all_at_once(&clients, &friday).await;
    assert_eq!(got.iter().filter(|outcome| matches!(outcome, Outcome::Registered(_))).count(), PLACES_A_DAY);
    let mut person = late + 100;
    let mut named = BTreeSet::new();
    loop {
        // A second passes: those who come now have it looked for anew.
        let now = server.engine().now();
        server.clock.set(now.plus_ms(1_000));
        server.client.register(&too_late).await.unwrap();
        let refusal = refused(server.client.register(&too_late).await.unwrap());
        let Some(one) = refusal.alternatives.iter().find(|one| one.distance_m < 100_000) else { break };
        for _ in 0..one.available {
            take(&server.client, one, person).await;
            person += 1;
        }
        named.insert(one.office_id.clone());
    }
    let expected =
        [OFFICE, "mpp-kubu-raya", "mpp-pontianak-kapuas-indah", "mpp-pontianak-selatan", "ukk-mempawah"];
    assert_eq!(named, expected.map(Into::into).into());
    let verdict = server.verify();
    assert!(verdict.ok, "{verdict:?}");
    server.stop().await;
}
