//! Models of the gate under every interleaving loom can find. They compile the production file:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kuota-domain --test loom_gate`
#![cfg(loom)]

use std::sync::Arc;

use kuota_domain::{
    gate::{Ending, Figures, Pass, SlotGate},
    time::UnixMillis,
};
use loom::thread;

fn figures(free: u32) -> Figures {
    let (open_at, close_at) = (UnixMillis(0), UnixMillis(10));
    Figures { capacity: 8, free, taken: 8 - free, paused: false, open_at, close_at, ending: Ending::Closing }
}

/// An ask for so many places, or a standby.
fn enter(gate: &Arc<SlotGate>, hint: usize, places: u32) -> Pass {
    let mut pass = gate.enter(hint);
    assert!(pass.claim(places) || pass.wait());
    pass
}

/// How many have permits.
fn held(passes: &[Pass]) -> usize {
    passes.iter().filter(|pass| !pass.is_standby()).count()
}

#[test]
fn claims_that_race_take_each_permit_once() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(1), 2);
        let other = gate.clone();
        let rival = thread::spawn(move || enter(&other, 1, 1));
        let passes = [enter(&gate, 0, 1), rival.join().unwrap()];
        assert_eq!(held(&passes), 1, "one permit, one holder; the other waits");
        drop(passes);
        keeper.settle();
        assert_eq!((gate.permits_in(), gate.standbys()), (1, 0));
    });
}

#[test]
fn a_claim_that_races_a_release_conserves_permits() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(0), 2);
        let other = gate.clone();
        let asker = thread::spawn(move || enter(&other, 0, 1));
        keeper.publish(figures(2), 0);
        let pass = asker.join().unwrap();
        let out = u32::from(!pass.is_standby());
        assert_eq!(gate.permits_in() + out, 2);
        drop(pass);
        assert_eq!((gate.permits_in(), gate.standbys(), keeper.debt()), (2, 0, 0));
    });
}

#[test]
fn a_claim_that_races_a_settlement_conserves_permits() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(2), 2);
        // A standby got one of the two places: one permit too many is in circulation.
        let mut standby = gate.enter(0);
        assert!(standby.wait());
        assert_eq!(standby.spend(), 0);
        let other = gate.clone();
        let asker = thread::spawn(move || enter(&other, 1, 2));
        keeper.publish(figures(1), 0);
        drop(asker.join().unwrap());
        assert!(keeper.settle());
        assert_eq!((gate.permits_in(), gate.standbys()), (1, 0));
    });
}

#[test]
fn a_capacity_lowered_under_a_claim_is_settled_when_it_comes_home() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(2), 1);
        let other = gate.clone();
        let asker = thread::spawn(move || !enter(&other, 0, 2).is_standby());
        keeper.publish(figures(0), 0);
        asker.join().unwrap();
        assert!(keeper.settle());
        assert_eq!(gate.permits_in(), 0);
        keeper.publish(figures(2), 0);
        assert_eq!(gate.permits_in(), 2);
    });
}

#[test]
fn a_grant_that_races_a_claim_spends_its_permits_once() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(2), 2);
        let granted = enter(&gate, 0, 1);
        let other = gate.clone();
        let asker = thread::spawn(move || enter(&other, 0, 1));
        let spent = granted.spend();
        keeper.publish(figures(1), spent);
        let pass = asker.join().unwrap();
        assert!(!pass.is_standby(), "there was a permit for it all along");
        drop(pass);
        assert_eq!((gate.permits_in(), keeper.debt()), (1, 0));
    });
}

#[test]
fn parties_that_race_across_shards_lose_no_permit() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(3), 2);
        let other = gate.clone();
        let rival = thread::spawn(move || enter(&other, 1, 2));
        let passes = [enter(&gate, 0, 2), rival.join().unwrap()];
        // Both may fail, and then both wait; both may never succeed.
        assert!(held(&passes) <= 1);
        assert_eq!(gate.standbys() as usize + held(&passes), 2);
        drop(passes);
        keeper.settle();
        assert_eq!((gate.permits_in(), gate.standbys()), (3, 0));
    });
}

#[test]
fn a_batch_that_races_a_claim_takes_each_permit_once() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(2), 2);
        let other = gate.clone();
        let rival = thread::spawn(move || enter(&other, 1, 1));
        let mut mine = [gate.enter(0), gate.enter(0)];
        let taken = mine.iter_mut().filter_map(|pass| pass.claim(1).then_some(())).count();
        let passes = [rival.join().unwrap()];
        assert!(taken >= 1 && taken + held(&passes) == 2, "{taken}");
        drop((mine, passes));
        keeper.settle();
        assert_eq!((gate.permits_in(), gate.standbys()), (2, 0));
    });
}

#[test]
fn whoever_sees_the_word_sees_what_was_published_before_it() {
    loom::model(|| {
        let (gate, mut keeper) = SlotGate::new(figures(1), 1);
        let published = loom::sync::Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let (other, map) = (gate.clone(), published.clone());
        let asker = thread::spawn(move || {
            // The word before the request map (INV-3, INV-5).
            if other.figures().free == 0 {
                assert_eq!(map.load(loom::sync::atomic::Ordering::Relaxed), 1);
            }
        });
        published.store(1, loom::sync::atomic::Ordering::Relaxed);
        keeper.publish(figures(0), 0);
        asker.join().unwrap();
    });
}
