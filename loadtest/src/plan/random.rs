//! Randomness that is the same on every machine: SplitMix64 (Steele, Lea and Flood 2014), and logarithms and powers in
//! integer arithmetic, because those of the C library differ in their last bits.

/// 1.0 in the fixed-point numbers of this file: 32 bits behind the point.
pub const ONE: u64 = 1 << 32;
/// ln 2, 32 bits behind the point.
const LN_2: u64 = 2_977_044_472;

/// A stream of random numbers. Streams of different purposes never meet: each begins at a hash of its purpose.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The output function of `SplitMix64`: a bijection that mixes every bit.
#[must_use]
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a purpose and a number, under a seed.
    #[must_use]
    pub const fn of(seed: u64, purpose: u64, number: u64) -> Self {
        Self(mix(mix(mix(seed).wrapping_add(purpose)).wrapping_add(number)))
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number from 0 to just below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// A number from one bound to the other, both included.
    pub fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.below(max.saturating_sub(min).saturating_add(1))
    }

    /// An exponentially distributed number with a mean.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let minus_ln = minus_ln(self.bits() | 1);
        u64::try_from((u128::from(mean) * u128::from(minus_ln)) >> 32).unwrap_or(u64::MAX)
    }
}

/// −ln(x / 2^64), 32 bits behind the point.
fn minus_ln(x: u64) -> u64 {
    let minus_log2 = 64 * ONE - log2(x);
    u64::try_from((u128::from(minus_log2) * u128::from(LN_2)) >> 32).unwrap_or(u64::MAX)
}

/// log2 of a number of at least 1, 32 bits behind the point: a bit for each squaring of the mantissa.
#[must_use]
pub fn log2(x: u64) -> u64 {
    let whole = u64::from(63 - x.leading_zeros());
    let mut mantissa = x << x.leading_zeros();
    let mut fraction = 0;
    for _ in 0..32 {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let carries = square >> 64 != 0;
        mantissa = u64::try_from(square >> u32::from(carries)).unwrap_or(u64::MAX);
        fraction = fraction << 1 | u64::from(carries);
    }
    whole << 32 | fraction
}

/// 2^−x for x with 32 bits behind the point, as a number with 40 bits behind the point.
#[must_use]
pub fn exp2_minus(x: u64) -> u64 {
    let mut power: u128 = 1 << 62;
    // 2^(−1/2), 2^(−1/4) and so on, each the square root of the one before, with 62 bits behind the point.
    let mut root: u128 = (1_u128 << 123).isqrt();
    for bit in (0..32).rev() {
        if x >> bit & 1 == 1 {
            power = (power * root) >> 62;
        }
        root = (root << 62).isqrt();
    }
    let whole = u32::try_from(x >> 32).unwrap_or(u32::MAX);
    u64::try_from(power.checked_shr(22_u32.saturating_add(whole)).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_powers_are_those_of_mathematics() {
        for x in [1_u64, 2, 3, 10, 1_000, 1 << 40, u64::MAX] {
            #[expect(clippy::cast_precision_loss, reason = "compared to nine digits")]
            let (found, expected) = (log2(x) as f64 / ONE as f64, (x as f64).log2());
            assert!((found - expected).abs() < 1e-8, "log2({x}) = {found}, not {expected}");
        }
        for x in [0, ONE / 2, ONE, 3 * ONE / 2, 10 * ONE + 12_345] {
            #[expect(clippy::cast_precision_loss, reason = "compared to nine digits")]
            let (found, expected) =
                (exp2_minus(x) as f64 / (1_u64 << 40) as f64, (-(x as f64) / ONE as f64).exp2());
            assert!((found - expected).abs() < 1e-8, "2^-{x} = {found}, not {expected}");
        }
    }

    #[test]
    fn the_exponential_distribution_has_its_mean() {
        let mut random = Random::of(1, 2, 3);
        let sum: u64 = (0..100_000).map(|_| random.exponential(8_000)).sum();
        assert!((7_900..8_100).contains(&(sum / 100_000)), "{sum}");
    }
}
