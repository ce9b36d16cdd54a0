//! A small map by service day. An office has some dozens of days within some weeks: which of these there are stands in one
//! word, and where a day's value lies is a count of its bits. So nothing is searched, and of many offices no line is read
//! but the value's own.

use std::{iter::Zip, mem, slice::Iter};

use crate::calendar::ServiceDay;

/// Something for each of some days, in their order. Small, so that what is read of it for a day is in one cache line.
#[derive(Clone, Debug)]
pub struct Days<T> {
    marks: Marks,
    values: Box<[T]>,
    days: Box<[ServiceDay]>,
}

/// The first day, and a bit for each of the days from it on; none, where they lie further apart than there are bits.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// A `u128`, without what that would be aligned to.
    present: [u64; 2],
    first: ServiceDay,
}

impl Marks {
    const NONE: Self = Self { present: [0; 2], first: ServiceDay::from_number(0) };

    fn of(days: &[ServiceDay]) -> Self {
        let first = days.first().copied().unwrap_or(Self::NONE.first);
        let mut bits = days.iter().map(|day| Self { first, ..Self::NONE }.bit(*day));
        let present = bits.try_fold(0_u128, |present, bit| Some(present | 1 << bit?)).unwrap_or(0);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
        let halves = [present as u64, (present >> u64::BITS) as u64];
        Self { present: halves, first }
    }

    const fn are_there(&self) -> bool {
        self.present[0] != 0
    }

    /// The bit of a day; `None`: it has none.
    fn bit(&self, day: ServiceDay) -> Option<u32> {
        let ahead = day.number().checked_sub(self.first.number())?;
        u32::try_from(ahead).ok().filter(|ahead| *ahead < u128::BITS)
    }

    /// How many days are before that day, if it is there.
    fn rank(&self, day: ServiceDay) -> Option<usize> {
        let bit = self.bit(day)?;
        let [low, high] = self.present.map(u128::from);
        let up_to = (high << u64::BITS | low) << (u128::BITS - 1 - bit);
        let is_present = up_to.leading_zeros() == 0;
        is_present.then(|| up_to.count_ones() as usize - 1)
    }
}

impl<T> Default for Days<T> {
    fn default() -> Self {
        Self { marks: Marks::NONE, values: Box::default(), days: Box::default() }
    }
}

impl<T> Days<T> {
    fn position(&self, day: ServiceDay) -> Option<usize> {
        // The first day has the first bit.
        if self.marks.are_there() { self.marks.rank(day) } else { self.days.binary_search(&day).ok() }
    }

    /// That of a day.
    #[must_use]
    pub fn get(&self, day: &ServiceDay) -> Option<&T> {
        self.values.get(self.position(*day)?)
    }

    /// That of a day, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, day: &ServiceDay) -> Option<&mut T> {
        let at = self.position(*day)?;
        self.values.get_mut(at)
    }

    /// That of a day, or what is made for it.
    pub fn get_or_insert_with(&mut self, day: ServiceDay, make: impl FnOnce() -> T) -> &mut T {
        let at = self.days.binary_search(&day).unwrap_or_else(|at| self.insert_at(at, day, make()));
        &mut self.values[at]
    }

    /// Puts something in the place of a day's.
    pub fn insert(&mut self, day: ServiceDay, value: T) {
        match self.days.binary_search(&day) {
            Ok(at) => self.values[at] = value,
            Err(at) => {
                self.insert_at(at, day, value);
            }
        }
    }

    fn insert_at(&mut self, at: usize, day: ServiceDay, value: T) -> usize {
        self.rebuild(|days, values| {
            days.insert(at, day);
            values.insert(at, value);
        });
        at
    }

    /// Seldom: days come by the week and go by the day.
    fn rebuild<R>(&mut self, change: impl FnOnce(&mut Vec<ServiceDay>, &mut Vec<T>) -> R) -> R {
        let (mut days, mut values) =
            (mem::take(&mut self.days).into_vec(), mem::take(&mut self.values).into_vec());
        let changed = change(&mut days, &mut values);
        self.marks = Marks::of(&days);
        (self.days, self.values) = (days.into(), values.into());
        changed
    }

    /// Takes a day out.
    pub fn remove(&mut self, day: &ServiceDay) -> Option<T> {
        let at = self.days.binary_search(day).ok()?;
        Some(self.rebuild(|days, values| {
            days.remove(at);
            values.remove(at)
        }))
    }

    /// How many days there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.days.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// The last day.
    #[must_use]
    pub fn last(&self) -> Option<ServiceDay> {
        self.days.last().copied()
    }

    /// In the order of the days.
    pub fn iter(&self) -> Zip<Iter<'_, ServiceDay>, Iter<'_, T>> {
        self.days.iter().zip(&self.values)
    }

    /// From a day on.
    pub fn from(&self, day: ServiceDay) -> Zip<Iter<'_, ServiceDay>, Iter<'_, T>> {
        let at = self.days.partition_point(|other| *other < day);
        self.days[at..].iter().zip(&self.values[at..])
    }

    /// Without the days.
    pub fn values(&self) -> Iter<'_, T> {
        self.values.iter()
    }
}

impl<'a, T> IntoIterator for &'a Days<T> {
    type Item = (&'a ServiceDay, &'a T);
    type IntoIter = Zip<Iter<'a, ServiceDay>, Iter<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn days_are_found_in_order_whatever_order_they_came_and_went_in() {
        // Within some weeks, within all bits, and further apart.
        for apart in [1, 3, 9] {
            let (mut days, mut model) = (Days::default(), BTreeMap::new());
            for step in 0..200 {
                let day = ServiceDay::from_number((step * 37 % 41 - 20) * apart);
                match step % 4 {
                    0 => assert_eq!(days.remove(&day), model.remove(&day)),
                    1 => {
                        *days.get_or_insert_with(day, || 0) += step;
                        *model.entry(day).or_insert(0) += step;
                    }
                    2 => {
                        days.insert(day, step);
                        model.insert(day, step);
                    }
                    _ => assert_eq!(days.get_mut(&day).copied(), model.get(&day).copied()),
                }
                for number in -200..200 {
                    let day = ServiceDay::from_number(number);
                    assert_eq!(days.get(&day), model.get(&day), "{day} of {days:?}");
                }
                assert!(days.iter().eq(&model) && days.values().eq(model.values()));
                assert!(days.from(day).eq(model.range(day..)));
                assert_eq!((days.len(), days.last()), (model.len(), model.keys().next_back().copied()));
                assert_eq!(days.is_empty(), model.is_empty());
            }
        }
    }
}
