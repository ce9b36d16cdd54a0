//! Bringing memory near before it is used. Where there are more slots than a core's cache holds, each ask would wait for
//! the lines of its own; fetched while the asks before it are worked on, they are at hand when its turn comes.

use std::{array, ops::Range};

/// Items from one look ahead to the next: about as many lines as a core fetches side by side.
pub const STEP: usize = 16;

/// Has the line of memory in which something begins brought near, and does not wait for it. A hint, and nothing where the
/// processor's has no safe name.
#[inline]
pub fn fetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

/// Fetches the lines in which so many things begin, as a step has items. All of them are found before the first is fetched:
/// where a page lies, the processor looks up for each before it goes on, and side by side only for those whose fetching it has
/// in view.
#[inline]
pub fn fetch_all<'a, T: 'a>(mut whats: impl Iterator<Item = &'a T>) {
    let found: [Option<&T>; STEP] = array::from_fn(|_| whats.next());
    found.into_iter().flatten().for_each(fetch);
}

/// What to look at before the next item is done, where `at` are done and `left` are not: stages, each with some items in a
/// row, counted from the next one to be done.
///
/// A stage reads what the one before it fetched a step earlier; what the last stage fetches is used a step later. Every step
/// each looks at as many items; before the first item, at all those that it will not come to later.
pub fn coming(at: usize, left: usize, stages: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let now = if at.is_multiple_of(STEP) { stages } else { 0 };
    (0..now).flat_map(move |stage| {
        let end = (stages - stage + 1) * STEP;
        let begin = if at == 0 { 0 } else { end - STEP };
        let firsts = (begin..end.min(left)).step_by(STEP);
        firsts.map(move |first| (stage, first..left.min(first + STEP)))
    })
}

#[cfg(test)]
mod tests {
    use super::{STEP, coming};

    #[test]
    fn every_stage_looks_at_every_item_once_and_before_the_next_stage_and_its_use() {
        for items in [0, 1, STEP - 1, STEP, 3 * STEP + 1, 100] {
            for stages in 1..4 {
                let mut seen = vec![0; items];
                for at in 0..items {
                    for (stage, some) in coming(at, items - at, stages) {
                        assert!(some.len() <= STEP, "{some:?}");
                        for seen in &mut seen[at..][some] {
                            assert_eq!(*seen, stage, "before item {at} of {items}");
                            *seen += 1;
                        }
                    }
                    assert_eq!(seen[at], stages, "item {at} of {items} is used");
                }
            }
        }
    }
}
