//! A small map by service day. An office has some dozens of days: to find one is to read two cache lines, not to walk a tree.

use std::{iter::Zip, slice::Iter};

use crate::calendar::ServiceDay;

/// Something for each of some days, in their order.
#[derive(Clone, Debug)]
pub struct Days<T> {
    /// Apart from the values, so that a search stays in few lines.
    days: Vec<ServiceDay>,
    values: Vec<T>,
}

impl<T> Default for Days<T> {
    fn default() -> Self {
        Self { days: Vec::new(), values: Vec::new() }
    }
}

impl<T> Days<T> {
    /// That of a day.
    #[must_use]
    pub fn get(&self, day: &ServiceDay) -> Option<&T> {
        self.values.get(self.days.binary_search(day).ok()?)
    }

    /// That of a day, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, day: &ServiceDay) -> Option<&mut T> {
        self.values.get_mut(self.days.binary_search(day).ok()?)
    }

    /// That of a day, or what is made for it.
    pub fn get_or_insert_with(&mut self, day: ServiceDay, make: impl FnOnce() -> T) -> &mut T {
        let at = self.days.binary_search(&day).unwrap_or_else(|at| {
            self.days.insert(at, day);
            self.values.insert(at, make());
            at
        });
        &mut self.values[at]
    }

    /// Puts something in the place of a day's.
    pub fn insert(&mut self, day: ServiceDay, value: T) {
        match self.days.binary_search(&day) {
            Ok(at) => self.values[at] = value,
            Err(at) => {
                self.days.insert(at, day);
                self.values.insert(at, value);
            }
        }
    }

    /// Takes a day out.
    pub fn remove(&mut self, day: &ServiceDay) -> Option<T> {
        let at = self.days.binary_search(day).ok()?;
        self.days.remove(at);
        Some(self.values.remove(at))
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
        let (mut days, mut model) = (Days::default(), BTreeMap::new());
        for step in 0..200 {
            let day = ServiceDay::from_number(step * 37 % 41 - 20);
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
            assert_eq!(days.get(&day), model.get(&day));
            assert!(days.iter().eq(&model) && days.values().eq(model.values()));
            assert!(days.from(day).eq(model.range(day..)));
            assert_eq!((days.len(), days.last()), (model.len(), model.keys().next_back().copied()));
            assert_eq!(days.is_empty(), model.is_empty());
        }
    }
}
