//! The retry budget: how many retries all calls together may make before the server is left in peace.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::limits;

/// One token, as it is counted.
const TOKEN: u32 = 1_000;

/// A bucket of tokens that all clones share, after gRPC's retry throttling (gRFC A6).
///
/// Each failure that could be retried takes a token, each success gives a part of one back, and calls are retried
/// only while more than half of the tokens are left. A server that fails now and then is asked again; one that fails
/// every call is not buried under retries.
///
/// ```
/// use kuota_client::RetryBudget;
///
/// let budget = RetryBudget::new(10, 100);
/// assert!(budget.allows_retries());
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    bucket: Arc<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    thousandths: AtomicU32,
    full_thousandths: u32,
    refund_thousandths: u32,
}

impl RetryBudget {
    /// A full bucket of so many tokens (1 to 1,000,000); each success gives back so many thousandths of a token.
    #[must_use]
    pub fn new(tokens: u32, refund_thousandths: u32) -> Self {
        let full_thousandths = tokens.clamp(1, 1_000_000) * TOKEN;
        let thousandths = AtomicU32::new(full_thousandths);
        Self { bucket: Arc::new(Bucket { thousandths, full_thousandths, refund_thousandths }) }
    }

    /// Whether more than half of the tokens are left.
    #[must_use]
    pub fn allows_retries(&self) -> bool {
        // Relaxed, here and below: the bucket guards nothing but its own figure.
        self.bucket.thousandths.load(Ordering::Relaxed) > self.bucket.full_thousandths / 2
    }

    /// Takes a token for a failure; says whether the call may be retried.
    pub(crate) fn charge(&self) -> bool {
        self.change(|thousandths| thousandths.saturating_sub(TOKEN));
        self.allows_retries()
    }

    /// Gives back what a success is worth.
    pub(crate) fn refund(&self) {
        let full = self.bucket.full_thousandths;
        if self.bucket.thousandths.load(Ordering::Relaxed) < full {
            self.change(|thousandths| thousandths.saturating_add(self.bucket.refund_thousandths).min(full));
        }
    }

    fn change(&self, next: impl Fn(u32) -> u32) {
        let change = |thousandths| Some(next(thousandths));
        // It always changes: the closure never says no.
        let _ = self.bucket.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

impl Default for RetryBudget {
    /// 100 tokens; a success gives back a tenth of one.
    fn default() -> Self {
        Self::new(limits::BUDGET_TOKENS, limits::BUDGET_REFUND_THOUSANDTHS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stop_at_half_and_come_back_with_successes() {
        let budget = RetryBudget::new(10, 500);
        let clone = budget.clone();
        for failure in 1..=4 {
            assert!(budget.charge(), "failure {failure} leaves more than half");
        }
        assert!(!clone.charge(), "five of ten are left, and clones share them");
        clone.refund();
        assert!(budget.allows_retries(), "half a token came back");
        for _ in 0..100 {
            budget.refund();
        }
        assert!(budget.charge(), "a bucket is never more than full");
        for _ in 0..100 {
            budget.charge();
        }
        budget.refund();
        assert!(!budget.allows_retries(), "nor less than empty");
    }
}
