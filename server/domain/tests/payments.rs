//! Holds and payments: one row for each outcome.
#![cfg(not(loom))]

mod world;

use std::sync::Arc;

use kuota_domain::{
    billing::BillingReference,
    catalog::{Catalog, LaneOffer},
    event::{Change, PaymentReceipt},
    fees::Rupiah,
    ids::{OfficeNumber, RegistrationId},
    ledger::{Directive, Misfit, Objection, Rejection, Remedy},
    limits::PAYMENT_CASES_PER_REGISTRATION_MAX,
    passport::PassportKind,
    payment::{CaseCause, CaseNumber, Payee, PaymentEffect, Resolution},
    refusal::Refusal,
    registration::{Applicant, Ask, Registration, RegistrationState},
    slot::{Lane, SlotKey},
};
use world::{World, catalog, day, fees, instant, offer, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
/// Two hours later.
const EXPIRY: &str = "2026-11-27T09:00:00Z";
const FEE: u32 = 350_000;

fn pontianak() -> World {
    let mut office = office("kanim-pontianak", &[(Lane::Priority, 2)]);
    office.lanes.push(LaneOffer { hold_minutes: Some(120), ..offer(Lane::Regular, 1) });
    let catalog = Catalog { fees: fees(), ..catalog(vec![office]) };
    let mut world = World::new(&catalog, instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    world
}

fn slot(date: &str, lane: Lane) -> SlotKey {
    SlotKey { office: OfficeNumber(0), day: day(date), lane }
}

fn priced(world: &mut World, date: &str, person: u8) -> Ask {
    let ask = world.ask(date, Lane::Regular, &[person]);
    let named = |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
    Ask { applicants: ask.applicants.iter().map(named).collect(), ..ask }
}

fn hold(world: &mut World, person: u8) -> Arc<Registration> {
    let wish = priced(world, "2026-11-30", person);
    world.register(wish).unwrap()
}

fn sound(world: &World) {
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn a_place_is_held_until_it_is_paid_for() {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    assert_eq!((held.state, held.fee()), (RegistrationState::Held, Some(Rupiah(FEE))));
    let billing = held.billing().unwrap();
    assert_eq!(billing.expires, instant(EXPIRY));
    assert_eq!(world.ledger.figures(held.slot).unwrap().free, 0);

    let paid = world.pay(Payee::Billing(billing.reference), "BRI-1", FEE).unwrap();
    assert_eq!((paid.id, paid.state), (held.id, RegistrationState::Confirmed));
    assert_eq!(paid.payment().unwrap().reference.as_str(), "BRI-1");
    let events = world.log.len();
    assert_eq!(world.pay(Payee::Id(held.id), "BRI-1", FEE), Ok(paid.clone()), "again: the same");
    assert_eq!(world.log.len(), events);
    world.at("2026-11-27T12:00:00Z");
    assert_eq!(world.ledger.registration(held.id).unwrap().state, RegistrationState::Confirmed);
    sound(&world);
}

#[test]
fn a_hold_that_expires_frees_place_and_person_at_its_deadline() {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    world.now = instant("2026-11-27T08:59:59.999Z");
    assert_eq!(world.ledger.next_due(), instant(EXPIRY), "whoever sleeps until then misses nothing");
    world.catch_up();
    assert_eq!(world.ledger.figures(held.slot).unwrap().free, 0);
    world.at(EXPIRY);
    let expired = world.ledger.registration(held.id).unwrap();
    assert_eq!((expired.state, world.ledger.holds(expired)), (RegistrationState::Expired, false));
    assert_eq!(world.ledger.figures(held.slot).unwrap().free, 1);
    let again = world.ask("2026-11-30", Lane::Priority, &[1]);
    world.register(again).unwrap();
    let gone = Refusal::HoldExpired { at: instant(EXPIRY) };
    assert_eq!(world.cancel(held.id), Err(Rejection::Refused(gone)));
    sound(&world);
}

#[test]
fn a_hold_is_never_longer_than_its_day_and_needs_a_fee() {
    let mut world = pontianak();
    // Booking closes at 15:00; a hold begun before outlives it, but not the day.
    let nameless = world.ask("2026-11-30", Lane::Regular, &[1]);
    assert_eq!(world.register(nameless), Err(Rejection::PassportNeeded { applicant: 0 }));
    let mut long = world.ledger.catalog();
    long.offices[0].lanes.iter_mut().for_each(|offer| offer.hold_minutes = Some(7 * 24 * 60));
    world.apply_catalog(&long);
    let held = hold(&mut world, 1);
    assert_eq!(held.billing().unwrap().expires, instant("2026-11-30T17:00:00Z"));
    world.at("2026-11-30T17:00:00Z");
    assert_eq!(world.ledger.registration(held.id).unwrap().state, RegistrationState::Expired);
    sound(&world);
}

/// What a payment of the fee comes to after `before`.
fn late(before: &dyn Fn(&mut World, &Arc<Registration>)) -> (World, Arc<Registration>) {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    before(&mut world, &held);
    let paid = world.pay(Payee::Id(held.id), "late", FEE).unwrap();
    sound(&world);
    (world, paid)
}

#[test]
fn a_payment_that_comes_late_is_never_dropped() {
    let expired = |world: &mut World, _: &Arc<Registration>| {
        world.at(EXPIRY);
    };
    let (_, paid) = late(&expired);
    assert_eq!(paid.state, RegistrationState::Confirmed, "the same place, which was still free");

    type Before<'a> = (&'a str, &'a dyn Fn(&mut World, &Arc<Registration>), CaseCause);
    let rows: [Before<'_>; 6] = [
        (
            "the place is another's",
            &|world, _| {
                world.at(EXPIRY);
                hold(world, 2);
            },
            CaseCause::PlaceGone,
        ),
        (
            "the applicant has another place",
            &|world, _| {
                world.at(EXPIRY);
                let other = world.ask("2026-11-30", Lane::Priority, &[1]);
                world.register(other).unwrap();
            },
            CaseCause::PlaceGone,
        ),
        (
            "the slot is paused",
            &|world, _| {
                world.at(EXPIRY).operate(1, Directive::Pause(Default::default())).unwrap();
            },
            CaseCause::PlaceGone,
        ),
        (
            "booking is over",
            &|world, _| {
                world.at("2026-11-30T08:00:00Z");
            },
            CaseCause::PlaceGone,
        ),
        (
            "cancelled",
            &|world, held| {
                world.cancel(held.id).unwrap();
            },
            CaseCause::PaidAfterCancellation,
        ),
        (
            "paid already",
            &|world, held| {
                world.pay(Payee::Id(held.id), "first", FEE).unwrap();
            },
            CaseCause::PaidTwice,
        ),
    ];
    for (name, before, cause) in rows {
        let (mut world, paid) = late(before);
        assert_eq!(paid.cases(), [CaseNumber(1)], "{name}");
        let case = world.ledger.case(CaseNumber(1)).unwrap();
        assert_eq!((case.cause, case.payment.reference.as_str()), (cause, "late"), "{name}");
        let again = world.pay(Payee::Id(paid.id), "late", FEE);
        assert_eq!(again, Ok(paid), "{name}: again, the same");
    }
}

#[test]
fn a_cancelled_payment_becomes_a_case() {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    world.pay(Payee::Id(held.id), "BRI-1", FEE).unwrap();
    let cancelled = world.cancel(held.id).unwrap();
    assert_eq!((cancelled.payment(), cancelled.cases()), (None, &[CaseNumber(1)][..]));
    assert_eq!(world.ledger.case(CaseNumber(1)).unwrap().cause, CaseCause::CancelledAfterPayment);
    sound(&world);
}

#[test]
fn each_reason_not_to_accept_a_payment() {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    let at_once = world.ask("2026-11-30", Lane::Priority, &[2]);
    let at_once = world.register(at_once).unwrap();
    let (due, paid) = (Rupiah(FEE), Rupiah(FEE - 1));
    let other = BillingReference::draw(99, 0);
    world.pay(Payee::Id(held.id), "known", FEE).unwrap();
    let events = world.log.len();
    for (payee, reference, amount, expected) in [
        (Payee::Id(RegistrationId(1)), "a", FEE, Rejection::NotFound),
        (Payee::Billing(other), "a", FEE, Rejection::NotFound),
        (Payee::Id(held.id), "a", FEE - 1, Refusal::WrongAmount { due, paid }.into()),
        (
            Payee::Id(at_once.id),
            "a",
            FEE,
            Refusal::NoPaymentDue { state: RegistrationState::Confirmed }.into(),
        ),
        (Payee::Id(held.id), "known", FEE - 1, Rejection::PaymentReused),
        (Payee::Id(at_once.id), "known", FEE, Rejection::PaymentReused),
        (Payee::Id(RegistrationId(1)), "known", FEE, Rejection::PaymentReused),
    ] {
        assert_eq!(world.pay(payee, reference, amount), Err(expected), "{payee:?} {reference} {amount}");
    }
    assert_eq!(world.log.len(), events);
    for number in 0..PAYMENT_CASES_PER_REGISTRATION_MAX {
        world.pay(Payee::Id(held.id), &format!("too-many-{number}"), FEE).unwrap();
    }
    assert_eq!(world.pay(Payee::Id(held.id), "one-more", FEE), Err(Rejection::TooManyPayments));
}

/// A late payment whose place is gone.
fn with_case() -> (World, Arc<Registration>) {
    late(&|world, _| {
        world.at(EXPIRY);
        hold(world, 2);
    })
}

#[test]
fn an_operator_finds_a_place_or_sends_the_money_back() {
    let (mut world, lost) = with_case();
    let case = CaseNumber(1);
    let remedy = |slot| Directive::ResolveCase { case, remedy: Remedy::Place(slot) };
    let monday = slot("2026-11-30", Lane::Regular);
    assert_eq!(world.operate(1, remedy(monday)), Err(Objection::Refused(Refusal::SoldOut)));
    let tuesday = slot("2026-12-01", Lane::Regular);
    world.operate(2, remedy(tuesday)).unwrap();
    let placed = world.ledger.registration(lost.id).unwrap().clone();
    assert_eq!((placed.state, placed.slot), (RegistrationState::Confirmed, tuesday));
    assert_eq!((placed.queue_number, placed.code), (1, lost.code));
    assert_eq!(placed.payment().unwrap().reference.as_str(), "late");
    assert_eq!(world.ledger.figures(tuesday).unwrap().free, 0);
    assert!(world.ledger.holds(&placed));
    let ids = |day| world.ledger.registrations_of(OfficeNumber(0), day).map(|one| one.id).collect::<Vec<_>>();
    assert!(!ids(monday.day).contains(&lost.id) && ids(tuesday.day).contains(&lost.id));
    sound(&world);
    assert_eq!(world.operate(3, remedy(tuesday)), Err(Objection::CaseResolved(case)));

    let (mut world, lost) = with_case();
    let refund = Directive::ResolveCase { case, remedy: Remedy::Refund };
    world.operate(1, refund).unwrap();
    assert_eq!(world.ledger.registration(lost.id).unwrap().state, RegistrationState::Expired);
    let resolved = world.ledger.case(case).unwrap().resolved.clone().unwrap();
    assert_eq!((resolved.resolution, &*resolved.actor.subject), (Resolution::Refund, "siti"));
    sound(&world);
}

#[test]
fn each_reason_not_to_resolve_a_case() {
    let (mut world, lost) = with_case();
    let place = |date, lane| Remedy::Place(slot(date, lane));
    let nobody = CaseNumber(9);
    let other = world.ask("2026-12-01", Lane::Priority, &[1]);
    world.register(other).unwrap();
    for (id, (number, remedy, expected)) in (1..).zip([
        (nobody, Remedy::Refund, Objection::NoSuchCase(nobody)),
        (
            CaseNumber(1),
            place("2026-12-01", Lane::Regular),
            Objection::Refused(Refusal::AlreadyRegistered { applicant: 0 }),
        ),
        (
            CaseNumber(1),
            place("2026-12-05", Lane::Regular),
            Objection::Refused(Refusal::NotAServiceDay { holiday: None }),
        ),
    ]) {
        let wish = Directive::ResolveCase { case: number, remedy };
        assert_eq!(world.operate(id, wish), Err(expected));
    }
    // Paid twice: it has a place.
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    world.pay(Payee::Id(held.id), "a", FEE).unwrap();
    world.pay(Payee::Id(held.id), "b", FEE).unwrap();
    let wish = Directive::ResolveCase { case: CaseNumber(1), remedy: place("2026-12-01", Lane::Regular) };
    assert_eq!(world.operate(1, wish), Err(Objection::CaseNeedsRefund(CaseNumber(1))));
    assert_eq!(lost.state, RegistrationState::Expired);
}

#[test]
fn an_open_case_outlives_its_registration_and_a_resolved_one_does_not() {
    let forgotten = "2026-12-30T17:00:00Z";
    let (mut world, lost) = with_case();
    world.at(forgotten);
    assert_eq!(world.ledger.registration(lost.id), None);
    assert!(world.ledger.case(CaseNumber(1)).is_some());
    sound(&world);
    let remedy = Remedy::Place(slot("2026-12-31", Lane::Regular));
    let wish = Directive::ResolveCase { case: CaseNumber(1), remedy };
    assert_eq!(world.operate(1, wish), Err(Objection::CaseNeedsRefund(CaseNumber(1))));
    world.operate(2, Directive::ResolveCase { case: CaseNumber(1), remedy: Remedy::Refund }).unwrap();
    assert_eq!(world.ledger.case(CaseNumber(1)), None);
    sound(&world);

    let (mut world, _) = with_case();
    world.operate(1, Directive::ResolveCase { case: CaseNumber(1), remedy: Remedy::Refund }).unwrap();
    world.at(forgotten);
    assert_eq!(world.ledger.cases().count(), 0);
    sound(&world);
}

#[test]
fn an_event_that_loses_money_does_not_fit() {
    let mut world = pontianak();
    let held = hold(&mut world, 1);
    let paid = world.pay(Payee::Id(held.id), "BRI-1", FEE).unwrap();
    let (id, slot) = (held.id, held.slot);
    let payment = paid.payment().unwrap().clone();
    let receipt = |effect| {
        Change::PaymentReceived(Box::new(PaymentReceipt { id, slot, payment: payment.clone(), effect }))
    };
    let twice = PaymentEffect::CaseOpened(CaseNumber(1), CaseCause::PaidTwice);
    for (name, change, expected) in [
        ("cancelled without a case", Change::Cancelled { id, slot, case: None }, Misfit::Payment),
        ("expired under a payment", Change::HoldExpired { id, slot }, Misfit::Registration),
        ("accepted twice", receipt(twice), Misfit::Payment),
        ("confirmed twice", receipt(PaymentEffect::Confirmed), Misfit::Payment),
        ("a case with a gap", Change::Cancelled { id, slot, case: Some(CaseNumber(2)) }, Misfit::Payment),
    ] {
        let mut ledger = world.replayed();
        let event = kuota_domain::event::Event { change, ..world.log.last().unwrap().clone() };
        assert_eq!(ledger.apply(&event), Err(expected), "{name}");
    }
}
