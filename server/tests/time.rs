//! What time does: days end, clocks are moved, catalogues change between two starts.

mod support;

use std::sync::Arc;

use kuota_client::{AvailabilityFilter, Key, RefusalReason, SlotState};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, OFFICE,
    people::{refused, registered, wish, wish_for},
    process::page,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_register_again_when_the_service_day_is_over() {
    let server = Friday::open().places(5).start().await;
    let first = registered(server.client.register(&wish(1)).await.unwrap());
    let tuesday = wish_for(OFFICE, "2026-12-01", 1);
    assert_eq!(
        refused(server.client.register(&tuesday).await.unwrap()).reason(),
        RefusalReason::AlreadyRegistered
    );
    server.at("2026-11-30T08:00:00Z").await;
    let refusal = refused(server.client.register(&wish(2)).await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::Closed, "booking ends at 15:00");
    server.at("2026-11-30T17:00:00Z").await;
    registered(server.client.register(&tuesday).await.unwrap());
    let refusal = refused(server.client.cancel(&first.id, "too late").await.unwrap());
    assert_eq!(refusal.reason(), RefusalReason::Closed);
    assert_eq!(server.client.get(Key::Id(first.id.clone())).await.unwrap(), first);
    let verdict = server.verify();
    assert!(verdict.ok && verdict.live == 1, "{verdict:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_are_answered_for_thirty_days_and_then_forgotten() {
    let server = Friday::open().places(5).start().await;
    let ask = wish(1);
    let first = registered(server.client.register(&ask).await.unwrap());
    server.at("2026-12-30T16:59:59Z").await;
    assert_eq!(registered(server.client.register(&ask).await.unwrap()), first);
    server.at("2026-12-30T17:00:00Z").await;
    assert_eq!(refused(server.client.register(&ask).await.unwrap()).reason(), RefusalReason::Closed);
    assert!(server.client.get(Key::Id(first.id)).await.is_err());
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_and_comes_back_leaves_no_trace() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = Friday::at("2026-11-27T06:00:00Z").places(5).data(&data).start().await;
    let events = server.verify().events;
    server.clock.set_drift_ms(86_400_000);
    server.at("2026-12-01T07:00:00Z").await;
    for day in [MONDAY, "2026-12-02"] {
        let error = server.client.register(&wish_for(OFFICE, day, 1)).await.unwrap_err();
        assert_eq!(
            error.reason(),
            Some("CLOCK_DRIFT"),
            "neither too late nor open: the clock is not believed"
        );
    }
    let http = server.addresses.http.to_string();
    let ready = tokio::task::spawn_blocking(move || page(&http, "/readyz")).await.unwrap();
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    server.clock.set_drift_ms(0);
    server.at("2026-11-27T06:00:01Z").await;
    assert_eq!(server.verify().events, events, "no day was ended on its word");
    assert_eq!(refused(server.client.register(&wish(1)).await.unwrap()).reason(), RefusalReason::NotOpenYet);
    server.at(support::T0).await;
    registered(server.client.register(&wish(1)).await.unwrap());
    server.stop().await;
    let server = Friday::open().places(5).data(&data).start().await;
    assert!(server.verify().ok, "and it starts again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_catalogue_reaches_what_is_released_and_takes_nothing_away() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let text = support::catalog(&[(OFFICE.into(), 5)]);
    let start = |text: String, now: &str| {
        let catalog = CatalogSource::Text { name: "test".into(), text };
        Friday::at(now).catalog(catalog).data(&data).start()
    };
    let server = start(text.clone(), support::T0).await;
    for n in 0..3 {
        registered(server.client.register(&wish(n)).await.unwrap());
    }
    server.stop().await;

    let changed = text.replace("places = 5", "places = 2").replace("\"15:00\"", "\"09:00\"");
    let server = start(changed, "2026-11-30T02:00:00Z").await;
    let filter = AvailabilityFilter { to_date: Some("2026-12-01".into()), ..AvailabilityFilter::default() };
    let slots = server.client.availability(&filter).await.unwrap();
    assert_eq!((slots[0].capacity, slots[0].state()), (2, SlotState::Closed), "Monday closes at 09:00 now");
    assert_eq!((slots[1].capacity, slots[1].available), (2, Some(2)));
    assert_eq!(server.engine().population(), (3, 3), "who has a place keeps it");
    assert!(server.verify().ok);
    server.stop().await;

    let elsewhere = text.replace(OFFICE, "kanim-sambas");
    let settings = kuota_server::config::Settings {
        catalog: CatalogSource::Text { name: "test".into(), text: elsewhere },
        data: data.path().into(),
        ..local()
    };
    let clock = Arc::new(kuota_server::clock::ManualClock::at(support::instant("2026-11-30T02:00:00Z")));
    let error = kuota_server::app::App::start(&settings, clock, None).unwrap_err();
    assert_eq!(error.exit().code(), 64);
    assert!(
        error.to_string().contains("office `kanim-pontianak` is missing from the catalogue but has 3 live")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_behind_the_log_is_refused() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    Friday::open().places(5).data(&data).start().await.stop().await;
    let settings = kuota_server::config::Settings { data: data.path().into(), ..local() };
    let clock = Arc::new(kuota_server::clock::ManualClock::at(support::instant("2026-11-27T06:59:00Z")));
    let error = kuota_server::app::App::start(&settings, clock, None).unwrap_err();
    assert_eq!(error.exit().code(), 64);
    assert!(error.to_string().contains("60000 ms before the last event of the log"), "{error}");
}

fn local() -> kuota_server::config::Settings {
    let flags = kuota_server::config::Source::default();
    let mut settings = kuota_server::config::Settings::load(flags, None).unwrap();
    for address in [&mut settings.listen, &mut settings.admin_listen, &mut settings.http_listen] {
        address.set_port(0);
    }
    settings
}
