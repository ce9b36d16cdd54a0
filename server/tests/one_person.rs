//! INV-2 under pressure: one person, many asks at once.

mod support;

use std::collections::HashMap;

use kuota_client::{Ask, Client, Lane, Outcome, RefusalReason};
use support::{
    Friday, MONDAY,
    people::{insist, nik},
};

const OFFICES: usize = 20;
const ASKS: usize = 10_000;
const CONNECTIONS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_asks_of_one_person_at_twenty_offices_get_one_place() {
    let offices: Vec<String> = (0..OFFICES).map(|office| format!("kanim-{office}")).collect();
    let friday = offices.iter().fold(Friday::open(), |friday, office| friday.office(office, 120));
    let server = friday.start().await;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.connect().await);
    }
    // Each is an intent of its own, with an id of its own.
    let asks = offices.iter().cycle().zip(clients.iter().cycle()).take(ASKS);
    let calls: Vec<_> = asks
        .map(|(office, client)| {
            let ask = Ask::new(office, MONDAY, Lane::Regular).applicant(nik(0), "");
            let client = client.clone();
            tokio::spawn(async move { insist(&client, &ask).await })
        })
        .collect();
    let (mut granted, mut refused) = (Vec::new(), HashMap::new());
    for call in calls {
        match call.await.unwrap() {
            Outcome::Registered(found) => granted.push(found.id),
            Outcome::Refused(refusal) => *refused.entry(refusal.reason()).or_insert(0) += 1,
        }
    }
    assert_eq!(
        (granted.len(), &refused),
        (1, &HashMap::from([(RefusalReason::AlreadyRegistered, ASKS - 1)]))
    );
    let verdict = server.verify();
    assert!(verdict.ok && (verdict.grants, verdict.live) == (1, 1), "{verdict:?}");
    server.stop().await;
}
