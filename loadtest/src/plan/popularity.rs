//! Which office people want: Zipf's law over their ranks, in integer arithmetic.

use super::random::{Random, exp2_minus, log2};

/// Draws ranks by Zipf's law.
#[derive(Clone, Debug)]
pub struct Popularity {
    /// Sums of the weights up to and including each rank.
    sums: Vec<u64>,
}

impl Popularity {
    /// Over so many ranks; the exponent in hundredths.
    #[must_use]
    pub fn zipf(ranks: usize, exponent_percent: u64) -> Self {
        let mut sum = 0;
        let weight = |rank: usize| exp2_minus(log2(rank as u64 + 1) * exponent_percent / 100).max(1);
        let sums = (0..ranks).map(|rank| {
            sum += weight(rank);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// A rank, from 0.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.below(self.sums.last().copied().unwrap_or(1));
        self.sums.partition_point(|sum| *sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_asked_as_much_more_as_the_exponent_says() {
        let popularity = Popularity::zipf(100, 100);
        let mut asked = [0_u32; 100];
        let mut random = Random::of(7, 0, 0);
        for _ in 0..200_000 {
            asked[popularity.draw(&mut random)] += 1;
        }
        let ratio = f64::from(asked[0]) / f64::from(asked[9]);
        assert!((9.0..11.0).contains(&ratio), "{ratio}");
    }
}
