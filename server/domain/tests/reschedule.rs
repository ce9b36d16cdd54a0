//! Another place for a registration: one row for each outcome.
#![cfg(not(loom))]

mod world;

use std::sync::Arc;

use kuota_domain::{
    calendar::ServiceDay,
    catalog::{Catalog, LaneOffer},
    event::{Change, Rescheduled},
    fees::Fees,
    ids::{CallerNumber, OfficeNumber, RegistrationId, RequestKey, TrancheNumber},
    ledger::{Command, Directive, Misfit, Objection, Rejection},
    passport::{Ground, PassportKind},
    payment::Payee,
    refusal::{Refusal, Term},
    registration::{Applicant, Ask, Registration, RegistrationState},
    rescheduling::Rescheduling,
    session::Turn,
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use world::{World, catalog, day, fees, instant, offer, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
/// The first instant of Monday in Pontianak.
const MONDAY_BEGINS: &str = "2026-11-29T17:00:00Z";
const FEE: u32 = 350_000;

/// A party of two on Monday in the regular lane of office 0. Offices 1 and 2 offer the same lanes; office 2 holds them until
/// they are paid for, and serves an hour further east.
fn pontianak() -> (World, Arc<Registration>) {
    world_with(fees(), &[1, 2])
}

fn world_with(fees: Fees, people: &[u8]) -> (World, Arc<Registration>) {
    let lanes = [(Lane::Regular, 2), (Lane::OneDay, 2), (Lane::Priority, 2)];
    let (first, second, mut third) =
        (office("kanim-pontianak", &lanes), office("ukk-sambas", &lanes), office("kanim-bali", &[]));
    third.lanes.push(LaneOffer { hold_minutes: Some(120), ..offer(Lane::Regular, 2) });
    let catalog = Catalog { fees, ..catalog(vec![first, second, third]) };
    let mut world = World::new(&catalog, instant("2026-11-22T05:00:00Z"));
    let wish = world.at(T0).ask("2026-11-30", Lane::Regular, people);
    let granted = world.register(wish).unwrap();
    (world, granted)
}

fn slot(office: u32, date: &str, lane: Lane) -> SlotKey {
    SlotKey { office: OfficeNumber(office), day: day(date), lane }
}

fn monday() -> SlotKey {
    slot(0, "2026-11-30", Lane::Regular)
}

fn tuesday() -> SlotKey {
    slot(0, "2026-12-01", Lane::Regular)
}

fn wednesday() -> SlotKey {
    slot(0, "2026-12-02", Lane::Regular)
}

fn key(id: u128) -> RequestKey {
    RequestKey { caller: CallerNumber(0), id }
}

fn reschedule(
    world: &mut World,
    id: RegistrationId,
    request: u128,
    slot: SlotKey,
) -> Result<Arc<Registration>, Rejection> {
    world.command(&Command::Reschedule(Rescheduling {
        registration: id,
        request: key(request),
        slot,
        session: None,
    }))
}

fn specially(registration: RegistrationId, slot: SlotKey) -> Directive {
    Directive::Reschedule { registration, slot, session: None }
}

fn free(world: &World, slot: SlotKey) -> u32 {
    world.ledger.figures(slot).unwrap().free
}

fn sound(world: &World) {
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn a_place_is_given_up_for_another_in_one_step() {
    let (mut world, granted) = pontianak();
    let events = world.log.len();
    let moved = reschedule(&mut world, granted.id, 100, tuesday()).unwrap();
    assert_eq!(world.log.len(), events + 1, "one event");
    assert_eq!((moved.slot, moved.code, moved.queue_number), (tuesday(), granted.code, 1));
    assert_eq!((free(&world, monday()), free(&world, tuesday())), (2, 0));
    assert!(world.ledger.holds(&moved), "it stays live");
    let ids = |day: ServiceDay| {
        world.ledger.registrations_of(OfficeNumber(0), day).map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!((ids(monday().day), ids(tuesday().day)), (Vec::new(), vec![granted.id]));
    sound(&world);
    // Who comes next gets the number that follows, and the place that was left.
    let next = world.ask("2026-11-30", Lane::Regular, &[3, 4]);
    assert_eq!(world.register(next).unwrap().queue_number, 2);
    world.ledger.seal();
    world.ledger.roll_back();
    assert_eq!(world.ledger.registration(granted.id), None, "all of it is undone");
}

#[test]
fn a_reschedule_that_was_not_committed_never_happened() {
    let (mut world, granted) = pontianak();
    world.ledger.seal();
    world.ledger.commit();
    let before = world.ledger.digest();
    reschedule(&mut world, granted.id, 100, slot(1, "2026-12-01", Lane::Regular)).unwrap();
    world.ledger.seal();
    world.ledger.roll_back();
    assert_eq!(world.ledger.digest(), before);
}

/// INV-3: an id names one wish, whatever kind of wish it is.
#[test]
fn a_request_id_names_one_reschedule() {
    let (mut world, granted) = pontianak();
    let moved = reschedule(&mut world, granted.id, 100, tuesday()).unwrap();
    let events = world.log.len();
    assert_eq!(reschedule(&mut world, granted.id, 100, tuesday()), Ok(moved.clone()), "again: the same");
    assert_eq!(world.replayed().registration(granted.id), Some(&moved));
    let other = world.ask("2026-12-04", Lane::Regular, &[5]);
    let other = world.register(other).unwrap();
    let reused = Err(Rejection::RequestReused);
    assert_eq!(reschedule(&mut world, granted.id, 100, wednesday()), reused, "another day");
    assert_eq!(reschedule(&mut world, other.id, 100, tuesday()), reused, "another registration");
    assert_eq!(reschedule(&mut world, granted.id, granted.request.id, wednesday()), reused, "of the grant");
    let ask = Ask { request: key(100), ..world.ask("2026-11-30", Lane::Regular, &[6]) };
    assert_eq!(world.register(ask), reused, "of a grant to come");
    let again =
        Ask { request: key(100), content: granted.content, ..world.ask("2026-11-30", Lane::Regular, &[1]) };
    assert_eq!(world.register(again), reused, "even with the content of the grant");
    // An operator moves it on: who repeats the wish is told where it is now.
    world.operate(1, specially(granted.id, wednesday())).unwrap();
    assert_eq!(reschedule(&mut world, granted.id, 100, tuesday()).unwrap().slot, wednesday());
    // As long as it is remembered at all.
    assert_eq!(world.log.len(), events + 3);
    world.at("2027-01-03T05:00:00Z");
    assert_eq!(reschedule(&mut world, granted.id, 100, tuesday()), Err(Rejection::NotFound));
    sound(&world);
}

type Prepare = fn(&mut World, &Registration);

#[test]
fn each_reason_not_to_reschedule() {
    let nothing: Prepare = |_, _| {};
    let refused = |refusal: Refusal| Err(Rejection::Refused(refusal));
    let begins = instant(MONDAY_BEGINS);
    let at = |text| instant(text);
    let rows: Vec<(&str, Prepare, SlotKey, Result<(), Rejection>)> = vec![
        ("another day", nothing, tuesday(), Ok(())),
        ("another office", nothing, slot(1, "2026-12-01", Lane::Regular), Ok(())),
        ("another office, the same day", nothing, slot(1, "2026-11-30", Lane::Regular), Ok(())),
        (
            "the last instant of the day before",
            |world, _| {
                world.at("2026-11-29T16:59:59.999Z");
            },
            tuesday(),
            Ok(()),
        ),
        (
            "the day has begun",
            |world, _| {
                world.at(MONDAY_BEGINS);
            },
            tuesday(),
            refused(Refusal::TooLateToReschedule { at: begins }),
        ),
        (
            "a second time",
            |world, granted| drop(reschedule(world, granted.id, 99, wednesday()).unwrap()),
            tuesday(),
            refused(Refusal::AlreadyRescheduled { at: at(T0) }),
        ),
        (
            "cancelled",
            |world, granted| drop(world.cancel(granted.id).unwrap()),
            tuesday(),
            refused(Refusal::NotReschedulable { state: RegistrationState::Cancelled }),
        ),
        ("where it is", nothing, monday(), refused(Refusal::SameSlot)),
        (
            "another fee",
            nothing,
            slot(0, "2026-12-01", Lane::OneDay),
            refused(Refusal::TermsDiffer { term: Term::Fee }),
        ),
        (
            "no ground",
            nothing,
            slot(0, "2026-12-01", Lane::Priority),
            refused(Refusal::TermsDiffer { term: Term::Ground }),
        ),
        (
            "to be paid for first",
            nothing,
            slot(2, "2026-12-01", Lane::Regular),
            refused(Refusal::TermsDiffer { term: Term::Payment }),
        ),
        (
            "sold out",
            |world, _| {
                let other = world.ask("2026-12-01", Lane::Regular, &[5, 6]);
                world.register(other).unwrap();
            },
            tuesday(),
            refused(Refusal::SoldOut),
        ),
        (
            "one place for two",
            |world, _| {
                let other = world.ask("2026-12-01", Lane::Regular, &[5]);
                world.register(other).unwrap();
            },
            tuesday(),
            refused(Refusal::NotEnoughPlaces { available: 1, asked: 2 }),
        ),
        (
            "paused",
            |world, _| drop(world.operate(1, Directive::Pause(Scope::default())).unwrap()),
            tuesday(),
            refused(Refusal::Paused),
        ),
        (
            "not open yet",
            |world, _| {
                let (slots, open_at) =
                    (vec![slot(0, "2026-12-05", Lane::Regular)], instant("2026-11-28T02:00:00Z"));
                let opening = Directive::ScheduleOpening { slots, open_at, places: Some(2) };
                world.operate(1, opening).unwrap();
            },
            slot(0, "2026-12-05", Lane::Regular),
            refused(Refusal::NotOpenYet { open_at: at("2026-11-28T02:00:00Z") }),
        ),
        (
            "booking there is over",
            |world, granted| {
                // From Tuesday back to Monday, whose booking has closed meanwhile.
                world.operate(1, specially(granted.id, tuesday())).unwrap();
                world.at("2026-11-30T08:00:00Z");
            },
            monday(),
            refused(Refusal::Closed { at: at("2026-11-30T08:00:00Z") }),
        ),
        (
            "a day that is over",
            nothing,
            slot(0, "2026-11-26", Lane::Regular),
            refused(Refusal::Closed { at: at("2026-11-26T08:00:00Z") }),
        ),
        (
            "Saturday",
            nothing,
            slot(0, "2026-12-05", Lane::Regular),
            refused(Refusal::NotAServiceDay { holiday: None }),
        ),
        (
            "a holiday",
            nothing,
            slot(0, "2026-12-03", Lane::Regular),
            refused(Refusal::NotAServiceDay { holiday: Some("Feast".into()) }),
        ),
        (
            "too far ahead",
            nothing,
            slot(0, "2026-12-14", Lane::Regular),
            refused(Refusal::BeyondHorizon { horizon: day("2026-12-11") }),
        ),
    ];
    for (name, prepare, to, expected) in rows {
        let (mut world, granted) = pontianak();
        prepare(&mut world, &granted);
        let (events, before) = (world.log.len(), world.ledger.digest());
        let answer = reschedule(&mut world, granted.id, 100, to);
        assert_eq!(
            answer.as_ref().map(|moved| assert_eq!(moved.slot, to)),
            expected.as_ref().copied(),
            "{name}"
        );
        if expected.is_err() {
            assert_eq!((world.log.len(), world.ledger.digest()), (events, before), "{name}: nothing changes");
        }
        sound(&world);
    }
    let (mut world, _) = pontianak();
    assert_eq!(reschedule(&mut world, RegistrationId(1), 100, tuesday()), Err(Rejection::NotFound));
}

#[test]
fn a_lane_of_the_same_price_may_be_changed_and_its_own_lane_keeps_the_terms_of_the_grant() {
    let (mut world, granted) = world_with(Fees::default(), &[1]);
    let moved = reschedule(&mut world, granted.id, 100, slot(0, "2026-11-30", Lane::OneDay)).unwrap();
    assert_eq!((moved.slot.lane, moved.queue_number), (Lane::OneDay, 2), "the queue of a day has one order");
    sound(&world);
    // By now places are paid for first here, and cost more: what was granted stands.
    let (mut world, granted) = pontianak();
    let mut dearer = world.ledger.catalog();
    dearer.offices[0].lanes[0].hold_minutes = Some(120);
    dearer.fees.surcharges.insert(Lane::Regular, dearer.fees.surcharges[&Lane::OneDay].clone());
    world.apply_catalog(&dearer);
    let moved = reschedule(&mut world, granted.id, 100, tuesday()).unwrap();
    assert_eq!((moved.state, moved.fee()), (RegistrationState::Confirmed, granted.fee()));
    // The priority lane asks for its ground, which somebody from there has.
    let ask = Ask { ground: Some(Ground::Elderly), ..world.ask("2026-12-01", Lane::Priority, &[7]) };
    let elderly = world.register(ask).unwrap();
    let moved = reschedule(&mut world, elderly.id, 101, slot(1, "2026-12-02", Lane::Priority)).unwrap();
    assert_eq!(moved.ground(), Some(Ground::Elderly));
    let regular = reschedule(&mut world, granted.id, 102, slot(1, "2026-12-02", Lane::Priority));
    assert!(regular.is_err());
}

/// A place in office 2, which waits to be paid for until 16:00.
fn held() -> (World, Arc<Registration>) {
    let (mut world, _) = pontianak();
    let ask = world.ask("2026-11-30", Lane::Regular, &[9]);
    let named = |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
    let applicants = ask.applicants.iter().map(named).collect();
    let slot = slot(2, "2026-11-30", Lane::Regular);
    let held = world.register(Ask { slot, applicants, ..ask }).unwrap();
    assert_eq!(held.state, RegistrationState::Held);
    (world, held)
}

#[test]
fn a_hold_and_what_was_paid_stay_with_the_registration() {
    let (mut world, granted) = held();
    let there = slot(2, "2026-12-01", Lane::Regular);
    let moved = reschedule(&mut world, granted.id, 100, there).unwrap();
    assert_eq!((moved.state, moved.billing()), (RegistrationState::Held, granted.billing()));
    sound(&world);
    // Unpaid, it expires where it is now.
    world.at("2026-11-27T09:00:00Z");
    assert_eq!(world.ledger.registration(granted.id).unwrap().state, RegistrationState::Expired);
    assert_eq!((free(&world, there), free(&world, granted.slot)), (2, 2));
    let late = world.pay(Payee::Id(granted.id), "late", FEE).unwrap();
    assert_eq!((late.state, late.slot), (RegistrationState::Confirmed, there));
    sound(&world);

    let (mut world, granted) = held();
    world.pay(Payee::Id(granted.id), "in-time", FEE).unwrap();
    // Where places are confirmed at once it is welcome too: it has paid.
    let moved = reschedule(&mut world, granted.id, 100, slot(1, "2026-12-01", Lane::Regular)).unwrap();
    assert_eq!(moved.payment().unwrap().reference.as_str(), "in-time");
    assert_eq!(moved.state, RegistrationState::Confirmed);
    let cancelled = world.cancel(granted.id).unwrap();
    assert_eq!(cancelled.cases().len(), 1, "the money has a case");
    sound(&world);
}

#[test]
fn a_hold_never_outlives_the_day_it_goes_to() {
    let (mut world, _) = held();
    let mut long = world.ledger.catalog();
    long.offices[2].lanes[0].hold_minutes = Some(7 * 24 * 60);
    world.apply_catalog(&long);
    let ask = world.ask("2026-12-04", Lane::Regular, &[11]);
    let named = |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
    let applicants = ask.applicants.iter().map(named).collect();
    let granted =
        world.register(Ask { slot: slot(2, "2026-12-04", Lane::Regular), applicants, ..ask }).unwrap();
    let earlier = reschedule(&mut world, granted.id, 100, slot(2, "2026-12-01", Lane::Regular)).unwrap();
    let midnight = instant("2026-12-01T17:00:00Z");
    assert_eq!(earlier.billing().unwrap().expires, midnight);
    assert_eq!(earlier.billing().unwrap().reference, granted.billing().unwrap().reference);
    sound(&world);
    world.at("2026-12-01T17:00:00Z");
    assert_eq!(world.ledger.registration(granted.id).unwrap().state, RegistrationState::Expired);
    sound(&world);
}

#[test]
fn an_operator_may_also_on_the_day_itself_and_it_does_not_count() {
    let (mut world, granted) = pontianak();
    world.at("2026-11-30T16:59:59.999Z");
    world.operate(1, specially(granted.id, tuesday())).unwrap();
    let changes = world.log.len();
    world.operate(1, specially(granted.id, tuesday())).unwrap();
    assert_eq!(world.log.len(), changes, "again: nothing more");
    let moved = world.ledger.registration(granted.id).unwrap().clone();
    assert_eq!((moved.slot, moved.moved()), (tuesday(), None));
    sound(&world);
    // The person's own time is still to come, and an operator may again after it.
    let (mut world, granted) = pontianak();
    world.operate(1, specially(granted.id, tuesday())).unwrap();
    reschedule(&mut world, granted.id, 100, wednesday()).unwrap();
    let slots = world.operate(2, specially(granted.id, tuesday())).unwrap();
    let told: Vec<_> = slots.iter().map(|change| (change.slot, change.granted)).collect();
    assert_eq!(told, [(tuesday(), 2), (wednesday(), 0)], "both slots are told");
    let moved = world.ledger.registration(granted.id).unwrap().moved().unwrap();
    assert_eq!((moved.from, moved.to), (tuesday(), wednesday()), "what the person did stands");
    sound(&world);

    let (mut world, granted) = pontianak();
    let id = granted.id;
    let refused = |refusal| Err(Objection::Refused(refusal));
    assert_eq!(world.operate(1, specially(id, monday())), refused(Refusal::SameSlot));
    let other_fee = specially(id, slot(0, "2026-12-01", Lane::OneDay));
    assert_eq!(world.operate(2, other_fee), refused(Refusal::TermsDiffer { term: Term::Fee }));
    assert_eq!(world.operate(3, specially(RegistrationId(1), tuesday())), Err(Objection::NoSuchRegistration));
    let at = instant("2026-11-30T17:00:00Z");
    world.now = at;
    let over = world.operate(4, specially(id, tuesday()));
    assert_eq!(over, refused(Refusal::TooLateToReschedule { at }), "and the day is not closed yet");
    world.catch_up();
    assert_eq!(world.operate(5, specially(id, tuesday())), refused(Refusal::TooLateToReschedule { at }));
}

#[test]
fn an_event_that_gives_two_places_or_none_does_not_fit() {
    let first = Turn { session: None, queue_number: 1 };
    let step = |granted: &Registration| Rescheduled {
        id: granted.id,
        from: monday(),
        to: tuesday(),
        tranche: TrancheNumber(0),
        turn: first,
        named: None,
        hold_expires: None,
        request: Some(key(100)),
    };
    type Spoil = fn(Rescheduled) -> Rescheduled;
    let rows: [(&str, Spoil, Misfit); 7] = [
        ("no such registration", |step| Rescheduled { id: RegistrationId(1), ..step }, Misfit::Registration),
        ("it is elsewhere", |step| Rescheduled { from: wednesday(), ..step }, Misfit::Registration),
        ("nowhere to", |step| Rescheduled { to: monday(), ..step }, Misfit::Registration),
        ("held", |step| Rescheduled { hold_expires: Some(UnixMillis(0)), ..step }, Misfit::Registration),
        ("a request that was used", |step| Rescheduled { request: Some(key(1)), ..step }, Misfit::Reused),
        ("another tranche", |step| Rescheduled { tranche: TrancheNumber(1), ..step }, Misfit::Tranche(1)),
        (
            "a gap in the queue",
            |step| Rescheduled { turn: Turn { session: None, queue_number: 2 }, ..step },
            Misfit::QueueNumber,
        ),
    ];
    for (name, spoil, expected) in rows {
        let (mut world, granted) = pontianak();
        let moved = {
            let (mut world, granted) = pontianak();
            reschedule(&mut world, granted.id, 100, tuesday()).unwrap()
        };
        let good = Rescheduled { tranche: moved.tranche, ..step(&granted) };
        let change = Change::Rescheduled(Box::new(spoil(good)));
        let event = kuota_domain::event::Event { change, ..world.log.last().unwrap().clone() };
        assert_eq!(world.ledger.apply(&event), Err(expected), "{name}");
    }
}
