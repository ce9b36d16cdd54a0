//! The registrations of a day in the order in which they came, as a chain through their rows: each row knows the one before
//! it, and the day knows the last. So one more is written where it stands anyway, and not at the end of a list of its day:
//! there are many days, and each grant comes to another.

use std::{iter, num::NonZeroU32};

use super::index::RowNumber;

/// The registrations of one day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrivals {
    last: Link,
    len: u32,
}

/// A row, or none: one more than its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Link(Option<NonZeroU32>);

/// For each row, the one that came before it to its day.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

impl Arrivals {
    /// How many there are.
    pub(super) const fn len(self) -> u32 {
        self.len
    }
}

impl Link {
    const fn to(row: RowNumber) -> Self {
        Self(NonZeroU32::new(row.wrapping_add(1)))
    }

    fn row(self) -> Option<RowNumber> {
        self.0.map(|next| next.get() - 1)
    }
}

impl Links {
    /// Room for one more row, which comes to no day yet.
    pub(super) fn add_row(&mut self) {
        self.0.push(Link::default());
    }

    /// Makes room for so many more rows.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.0.reserve_exact(rows);
    }

    /// What came before a row.
    pub(super) fn before(&self, row: RowNumber) -> Link {
        self.0.get(row as usize).copied().unwrap_or_default()
    }

    /// A row comes after another once more, as it did when it was taken out of memory.
    pub(super) fn restore(&mut self, row: RowNumber, before: Link) {
        self.0[row as usize] = before;
    }

    /// A row comes last.
    pub(super) fn push(&mut self, arrivals: &mut Arrivals, row: RowNumber) {
        self.insert(arrivals, row, Link::default());
    }

    /// Takes the last one out.
    pub(super) fn pop(&self, arrivals: &mut Arrivals) {
        if let Some(row) = arrivals.last.row() {
            *arrivals = Arrivals { last: self.before(row), len: arrivals.len - 1 };
        }
    }

    /// Takes a row out, and says what came after it; `None`: it is not there.
    pub(super) fn remove(&mut self, arrivals: &mut Arrivals, row: RowNumber) -> Option<Link> {
        let (mut later, mut there) = (Link::default(), arrivals.last);
        while there != Link::to(row) {
            later = there;
            there = self.before(there.row()?);
        }
        *self.link_after(arrivals, later) = self.before(row);
        arrivals.len -= 1;
        Some(later)
    }

    /// Puts a row in, before one that comes later.
    pub(super) fn insert(&mut self, arrivals: &mut Arrivals, row: RowNumber, later: Link) {
        let link = self.link_after(arrivals, later);
        let before = std::mem::replace(link, Link::to(row));
        self.0[row as usize] = before;
        arrivals.len += 1;
    }

    /// Where it says what comes before a row, or what comes last.
    fn link_after<'a>(&'a mut self, arrivals: &'a mut Arrivals, later: Link) -> &'a mut Link {
        match later.row() {
            Some(later) => &mut self.0[later as usize],
            None => &mut arrivals.last,
        }
    }

    /// Those of a day, the last one first.
    pub(super) fn latest_first(&self, arrivals: Arrivals) -> impl Iterator<Item = RowNumber> + use<'_> {
        iter::successors(arrivals.last.row(), |row| self.before(*row).row())
    }

    /// Those of a day, in the order in which they came.
    pub(super) fn rows(&self, arrivals: Arrivals) -> Vec<RowNumber> {
        let mut rows = Vec::with_capacity(arrivals.len as usize);
        rows.extend(self.latest_first(arrivals));
        rows.reverse();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_and_go_and_keep_their_order() {
        let (mut links, mut days) = (Links::default(), [Arrivals::default(); 2]);
        for row in 0..8 {
            links.add_row();
            links.push(&mut days[row as usize % 2], row);
        }
        assert_eq!(days.map(|day| links.rows(day)), [vec![0, 2, 4, 6], vec![1, 3, 5, 7]]);
        // From the middle, the beginning and the end.
        let later = [2, 0, 6].map(|row| links.remove(&mut days[0], row).unwrap());
        assert_eq!((links.rows(days[0]), links.remove(&mut days[0], 3)), (vec![4], None));
        // One comes to the other day, and goes back.
        links.push(&mut days[1], 6);
        assert_eq!((links.rows(days[1]), days[1].len()), (vec![1, 3, 5, 7, 6], 5));
        links.pop(&mut days[1]);
        for (row, later) in [2, 0, 6].into_iter().zip(later).rev() {
            links.insert(&mut days[0], row, later);
        }
        assert_eq!(
            days.map(|day| (links.rows(day), day.len())),
            [(vec![0, 2, 4, 6], 4), (vec![1, 3, 5, 7], 4)]
        );
        while days[0].len() > 0 {
            links.pop(&mut days[0]);
        }
        links.pop(&mut days[0]);
        assert_eq!(links.rows(days[0]), []);
    }
}
