//! Thresholds: `response.p99_ms < 50` over the figures of a report.

use std::{fmt, str::FromStr};

use kuota_api::v1::RefusalReason;
use serde_json::Value;

use super::figures::{Report, code_name};

/// One threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    metric: String,
    comparison: Comparison,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

/// Metrics that are named shortly; any other figure of the report by its path, as `refused.SOLD_OUT`.
const SHORT: [(&str, &str); 4] = [
    ("response", "latency_ms.response"),
    ("service", "latency_ms.service"),
    ("lag", "latency_ms.lag"),
    ("journey", "latency_ms.journey"),
];

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: a metric, one of < <= > >= ==, and a number are allowed, as \"response.p99_ms < 50\"")]
pub struct NoRequirement(String);

impl FromStr for Requirement {
    type Err = NoRequirement;

    fn from_str(text: &str) -> Result<Self, NoRequirement> {
        let parts: Vec<_> = text.split_whitespace().collect();
        let [metric, comparison, bound] = parts[..] else { return Err(NoRequirement(text.into())) };
        let comparison = match comparison {
            "<" => Comparison::Below,
            "<=" => Comparison::AtMost,
            ">" => Comparison::Above,
            ">=" => Comparison::AtLeast,
            "==" => Comparison::Equal,
            _ => return Err(NoRequirement(text.into())),
        };
        let bound: f64 = bound.parse().map_err(|_| NoRequirement(text.into()))?;
        if !bound.is_finite() {
            return Err(NoRequirement(text.into()));
        }
        Ok(Self { metric: metric.into(), comparison, bound })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comparison = match self.comparison {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
            Comparison::Equal => "==",
        };
        write!(f, "{} {comparison} {}", self.metric, self.bound)
    }
}

impl Requirement {
    /// Whether reports have such a figure: what is misspelt must not be found missing after the run, or hold for ever.
    #[must_use]
    pub fn is_known(&self) -> bool {
        // A report is made of plain values.
        let shape = serde_json::to_value(Report::shape()).unwrap_or_default();
        self.check(&shape).is_some()
    }

    /// What is found in a report, and whether it is enough; `None` when the report has no such figure.
    #[must_use]
    pub fn check(&self, report: &Value) -> Option<(f64, bool)> {
        let path = self.metric.strip_suffix("_ms").unwrap_or(&self.metric);
        let found = SHORT
            .iter()
            .find_map(|(short, long)| {
                let rest = path.strip_prefix(short)?.strip_prefix('.')?;
                figure(report, &format!("{long}.{rest}"))
            })
            .or_else(|| figure(report, &self.metric))?;
        let holds = match self.comparison {
            Comparison::Below => found < self.bound,
            Comparison::AtMost => found <= self.bound,
            Comparison::Above => found > self.bound,
            Comparison::AtLeast => found >= self.bound,
            Comparison::Equal => (found - self.bound).abs() < f64::EPSILON,
        };
        Some((found, holds))
    }
}

/// A figure by its path. A counter by reason or code that never came up is zero.
fn figure(report: &Value, path: &str) -> Option<f64> {
    let mut value = report;
    for (depth, name) in path.split('.').enumerate() {
        value = match value.get(name) {
            Some(value) => value,
            None if depth == 1 && is_counter(path) => return Some(0.0),
            None => return None,
        };
    }
    value.as_f64()
}

/// Whether a path names a counter by reason or code that the API or gRPC has.
fn is_counter(path: &str) -> bool {
    match path.split_once('.') {
        Some(("refused", reason)) => {
            RefusalReason::from_str_name(&format!("REFUSAL_REASON_{reason}")).is_some()
        }
        Some(("errors", code)) => (1..17).any(|number| code_name(number) == code),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thresholds_decide_over_any_figure() {
        let report = json!({
            "latency_ms": { "response": { "p99": 12.5 } },
            "refused": { "SOLD_OUT": 7 },
            "errors": {},
            "oversold": 0,
        });
        for (text, expected) in [
            ("response.p99_ms < 50", Some((12.5, true))),
            ("response.p99 < 12.5", Some((12.5, false))),
            ("refused.SOLD_OUT >= 7", Some((7.0, true))),
            ("errors.UNAVAILABLE == 0", Some((0.0, true))),
            ("refused.BUSY <= 0", Some((0.0, true))),
            ("oversold == 0", Some((0.0, true))),
            ("response.p98_ms < 50", None),
        ] {
            let found = text.parse::<Requirement>().unwrap().check(&report);
            assert_eq!(found, expected, "{text}");
        }
        for (text, expected) in [
            ("response.p99_ms < 50", true),
            ("personas.bot.share_percent < 50", true),
            ("usage.server_cpu_us_per_call < 50", true),
            ("refused.NOT_OPEN_YET > 0", true),
            ("errors.DEADLINE_EXCEEDED == 0", true),
            ("untold == 0", true),
            ("response.p98_ms < 50", false),
            ("refused.SOLDOUT == 0", false),
            ("errors.TIMEOUT == 0", false),
            ("errors.OK == 0", false),
            ("scenario == 1", false),
        ] {
            assert_eq!(text.parse::<Requirement>().unwrap().is_known(), expected, "{text}");
        }
        for text in ["", "response.p99_ms", "response.p99_ms ~ 5", "a < b", "a < inf"] {
            assert!(text.parse::<Requirement>().is_err(), "{text}");
        }
    }
}
