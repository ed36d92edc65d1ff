//! Thresholds: what makes a run fail beside its own verdict, as `--fail-if 'p99>20ms'` writes it. Pure.
//!
//! An expression is a metric, an operator, a number and the unit that the metric's kind wants. [`Threshold::parse`] reads one for the
//! metrics of a report; [`Threshold::judge`] compares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest expression that is read, in bytes.
const EXPRESSION_BYTES_MAX: usize = 256;
/// The largest number of an expression.
const NUMBER_MAX: f64 = 1e15;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A time: `us`, `ms` or `s`. Values are microseconds.
    Time,
    /// A share: `%`. Values are percent.
    Share,
    /// A rate: `/s`, which may be left out. Values are per second.
    Rate,
    /// A count: without a unit, or `%` of what was sent.
    Count,
}

/// A unit of an expression, and what makes a value of the report one in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unit {
    name: &'static str,
    /// Of the value's own unit.
    scale: f64,
}

impl Kind {
    /// The units that it takes.
    const fn units(self) -> &'static [Unit] {
        const NO_UNIT: Unit = Unit { name: "", scale: 1.0 };
        const PERCENT: Unit = Unit { name: "%", scale: 1.0 };
        match self {
            Self::Time => {
                const { &[Unit { name: "us", scale: 1.0 }, Unit { name: "ms", scale: 1e3 }, Unit { name: "s", scale: 1e6 }] }
            }
            Self::Share => const { &[PERCENT] },
            Self::Rate => const { &[Unit { name: "/s", scale: 1.0 }, NO_UNIT] },
            Self::Count => const { &[NO_UNIT, PERCENT] },
        }
    }

    fn unit_names(self) -> String {
        let named = self.units().iter().map(|unit| unit.name).filter(|name| !name.is_empty());
        named.collect::<Vec<_>>().join(", ")
    }
}

/// The metrics of a kind of report: one by its name, and all names that errors tell.
#[derive(Clone, Copy, Debug)]
pub struct Metrics {
    /// The metric of that name.
    pub find: fn(&str) -> Option<Kind>,
    /// All names, for people.
    pub known: fn() -> String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 5] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    (">", Operator::Above),
    ("<", Operator::Below),
];

impl Operator {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            // Counts and limits are short decimals; a division may be off by its last bit.
            Self::Equal => (value - limit).abs() <= 1e-9 * limit.abs().max(1.0),
        }
    }
}

/// One expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As it was written, without spaces around it.
    pub expression: String,
    /// The metric.
    pub metric: String,
    kind: Kind,
    operator: Operator,
    /// In `unit`.
    limit: f64,
    unit: Unit,
}

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct ThresholdError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong there, and what would be right.
    pub what: String,
}

/// What a threshold came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdReport {
    /// As `--fail-if` had it.
    pub expression: String,
    /// The metric.
    pub metric: String,
    /// Its value, in `unit`; none: nothing was measured, which fails.
    pub value: Option<f64>,
    /// `us`, `ms`, `s`, `%`, `/s`, or empty for a count.
    pub unit: String,
    /// The expression was true, or nothing was measured.
    pub failed: bool,
}

impl Threshold {
    /// Reads an expression about one of these metrics.
    ///
    /// # Errors
    /// It is none; the error has the place.
    pub fn parse(text: &str, metrics: &Metrics) -> Result<Self, ThresholdError> {
        // Columns are those of the text as it was given.
        let column = |bytes: usize| text.get(..bytes).map_or(0, |before| before.chars().count()) + 1;
        let error = |bytes: usize, what: String| Err(ThresholdError { column: column(bytes), what });
        if text.len() > EXPRESSION_BYTES_MAX {
            return error(EXPRESSION_BYTES_MAX, format!("longer than {EXPRESSION_BYTES_MAX} bytes"));
        }
        let is_operator = |c: char| matches!(c, '>' | '<' | '=' | '!');
        let Some(at) = text.find(is_operator) else {
            return error(text.trim_end().len(), "an operator is missing: > >= < <= ==".into());
        };
        let metric = text[..at].trim();
        let metric_at = at - text[..at].trim_start().len();
        let Some(kind) = (metrics.find)(metric) else {
            let known = (metrics.known)();
            let what = if metric.is_empty() { "a metric is missing".into() } else { format!("no metric `{metric}`") };
            return error(if metric.is_empty() { 0 } else { metric_at }, format!("{what} (known: {known})"));
        };
        let Some((name, operator)) = OPERATORS.into_iter().find(|(name, _)| text[at..].starts_with(name)) else {
            return error(at, "no operator (known: > >= < <= ==)".into());
        };
        let rest = &text[at + name.len()..];
        let number_at = text.len() - rest.trim_start().len();
        let rest = rest.trim();
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        let Some(limit) = number.parse::<f64>().ok().filter(|limit| *limit <= NUMBER_MAX) else {
            return error(number_at, format!("a number from 0 to {NUMBER_MAX} is expected"));
        };
        let unit_at = number_at + digits + (unit.len() - unit.trim_start().len());
        let unit = unit.trim();
        let is_plain_zero = unit.is_empty() && limit == 0.0;
        let known = kind.units().iter().find(|known| known.name == unit || is_plain_zero);
        let Some(unit) = known.copied() else {
            let (units, metric) = (kind.unit_names(), metric);
            let what =
                if unit.is_empty() { "a unit is missing".into() } else { format!("no unit `{unit}` of {metric}") };
            return error(unit_at, format!("{what} (known: {units})"));
        };
        let (expression, metric) = (text.trim().to_owned(), metric.to_owned());
        Ok(Self { expression, metric, kind, operator, limit, unit })
    }

    /// Compares. `value`: the metric's, in microseconds, percent, per second, or a count; `sent`: what counts are percent of.
    pub fn judge(&self, value: Option<f64>, sent: u64) -> ThresholdReport {
        let is_part = self.kind == Kind::Count && self.unit.name == "%";
        let value = match value {
            Some(count) if is_part => (sent > 0).then(|| count * 100.0 / sent as f64),
            value => value.map(|value| value / self.unit.scale),
        };
        ThresholdReport {
            expression: self.expression.clone(),
            metric: self.metric.clone(),
            value,
            unit: if self.kind == Kind::Rate { "/s" } else { self.unit.name }.to_owned(),
            failed: value.is_none_or(|value| self.operator.holds(value, self.limit)),
        }
    }
}

/// A value, to four decimals, with its unit.
fn shown(value: f64, unit: &str) -> String {
    let digits = format!("{value:.4}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    match unit {
        "" => digits.to_owned(),
        "/s" => format!("{digits}/s"),
        unit => format!("{digits} {unit}"),
    }
}

impl ThresholdReport {
    /// Why the run failed, if this is why.
    pub fn failure(&self) -> Option<String> {
        self.failed.then(|| format!("--fail-if {}: {}", self.expression, self.found()))
    }

    /// A line for people: `fail if p99>20ms: no; it is 3.12 ms`.
    pub fn line(&self) -> String {
        format!("fail if {}", self.told())
    }

    /// The same without its first words.
    pub fn told(&self) -> String {
        format!("{}: {}; {}", self.expression, if self.failed { "yes" } else { "no" }, self.found())
    }

    /// What was found, for people: `it is 31.2 ms`.
    pub fn found(&self) -> String {
        match self.value {
            Some(value) => format!("it is {}", shown(value, &self.unit)),
            None => "nothing was measured".to_owned(),
        }
    }
}

/// Takes the failures of earlier thresholds out of a verdict, and puts those of these in.
pub fn renew(failures: &mut Vec<String>, before: &[ThresholdReport], now: &[ThresholdReport]) {
    let old: Vec<String> = before.iter().filter_map(ThresholdReport::failure).collect();
    failures.retain(|failure| !old.contains(failure));
    failures.extend(now.iter().filter_map(ThresholdReport::failure));
}

#[cfg(test)]
mod tests;
