//! What a registration costs, why some come by the priority lane, and until when a lane takes asks: through the API.

mod support;

use std::sync::Arc;

use kuota_client::{Ask, Error, Lane, PassportKind, PriorityGround, RefusalReason};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, OFFICE, PRICES, catalog,
    people::{nik, refused, registered},
};

/// An office with all lanes, ONE_DAY up to ten in the morning, and prices.
fn priced(now: &str) -> Friday {
    let lane = |name: &str, more: &str| {
        format!("\n[[office.lane]]\nlane = \"{name}\"\nplaces = 9\nsource = \"test\"\n{more}\n")
    };
    let text = PRICES.to_owned()
        + &catalog(&[(OFFICE.into(), 9)])
        + &lane("PRIORITY", "")
        + &lane("ONE_DAY", "cut_off_time = \"10:00\"");
    Friday::at(now).catalog(CatalogSource::Text { name: "test".into(), text })
}

fn ask(day: &str, lane: Lane, person: u32) -> Ask {
    Ask::new(OFFICE, day, lane).applicant(nik(person), "")
}

#[tokio::test]
async fn a_fee_is_told_at_the_grant_and_stays_what_it_was() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = priced(support::T0).data(&data).start().await;
    let party = ask(MONDAY, Lane::OneDay, 1)
        .passport(PassportKind::Ordinary5Years)
        .applicant(nik(2), "")
        .passport(PassportKind::Electronic10Years);
    let granted = registered(server.client.register(&party).await.unwrap());
    assert_eq!(granted.fee_rupiah, Some(3_300_000));
    let kinds: Vec<_> = granted.applicants.iter().map(|one| one.passport_kind()).collect();
    assert_eq!(kinds, [PassportKind::Ordinary5Years, PassportKind::Electronic10Years]);
    let silent = registered(server.client.register(&ask(MONDAY, Lane::Regular, 3)).await.unwrap());
    assert_eq!((silent.fee_rupiah, silent.ground()), (None, PriorityGround::Unspecified));
    let unpriced = ask(MONDAY, Lane::Regular, 4).passport(PassportKind::Electronic5Years);
    assert_eq!(registered(server.client.register(&unpriced).await.unwrap()).fee_rupiah, None);
    let urgent = ask(MONDAY, Lane::Priority, 5).ground(PriorityGround::ChildUnderFive);
    let urgent = registered(server.client.register(&urgent).await.unwrap());
    assert_eq!(urgent.ground(), PriorityGround::ChildUnderFive);

    let other = party.clone().passport(PassportKind::Ordinary5Years);
    let error = server.client.register(&other).await.unwrap_err();
    assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"), "what it is for belongs to the content");
    let fees = server.client.passport_fees().await.unwrap();
    assert_eq!(fees.iter().map(|fee| fee.fee_rupiah).collect::<Vec<_>>(), [350_000, 950_000]);
    let offices = server.client.offices().await.unwrap();
    let one_day = offices[0].lanes.iter().find(|offer| offer.lane() == Lane::OneDay).unwrap();
    assert_eq!((one_day.surcharge_rupiah, one_day.cut_off_time.as_str()), (1_000_000, "10:00"));
    server.stop().await;

    // Without fees in the catalogue, what was granted keeps its own.
    let server = Friday::open().places(9).data(&data).start().await;
    assert_eq!(registered(server.client.register(&party).await.unwrap()), granted);
    let later = ask(MONDAY, Lane::Regular, 6).passport(PassportKind::Ordinary5Years);
    assert_eq!(registered(server.client.register(&later).await.unwrap()).fee_rupiah, None);
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn the_priority_lane_asks_why_and_no_other_does() {
    let server = priced(support::T0).start().await;
    for (ask, field) in [
        (ask(MONDAY, Lane::Priority, 1), "ground"),
        (ask(MONDAY, Lane::Regular, 1).ground(PriorityGround::Elderly), "ground"),
    ] {
        let Error::Status(failed) = server.client.register(&ask).await.unwrap_err() else {
            panic!("no status")
        };
        assert_eq!(failed.code, tonic::Code::InvalidArgument);
        assert_eq!(failed.fields[0].0, field);
    }
    server.stop().await;
}

#[tokio::test]
async fn after_its_cut_off_a_lane_is_refused_for_today_with_its_own_reason() {
    let server = priced(support::T0).start().await;
    server.at("2026-11-30T02:59:59Z").await;
    registered(server.client.register(&ask(MONDAY, Lane::OneDay, 1)).await.unwrap());
    server.at("2026-11-30T03:00:00Z").await;
    let refusal = refused(server.client.register(&ask(MONDAY, Lane::OneDay, 2)).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::PastCutOff);
    assert_eq!(refusal.metadata["cut_off_at_ms"], support::instant("2026-11-30T03:00:00Z").0.to_string());
    registered(server.client.register(&ask(MONDAY, Lane::Regular, 2)).await.unwrap());
    registered(server.client.register(&ask("2026-12-01", Lane::OneDay, 3)).await.unwrap());
    assert!(server.verify().ok);
    server.stop().await;
}
