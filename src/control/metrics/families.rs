//! Families of metrics as data, and as text.

use hdrhistogram::{Counter, Histogram};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// Upper bounds of a histogram's buckets, in microseconds: 50 us to 10 s.
pub const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text 0.0.4, for programs that know no other.
    Prometheus,
}

impl Format {
    /// The value of `Content-Type`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Labels of a series: names and values.
pub type Labels = Vec<(&'static str, String)>;

/// A histogram of times, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histo {
    /// All times added up.
    pub sum: f64,
    /// How many.
    pub count: u64,
    /// How many are up to each bound and above the one before it; the last is without bound.
    pub buckets: Vec<(f64, u64)>,
}

/// That of a histogram of microseconds.
impl From<&Histogram<u64>> for Histo {
    fn from(times: &Histogram<u64>) -> Self {
        Self::of(times, 1)
    }
}

impl Histo {
    /// That of a histogram of nanoseconds.
    pub fn of_ns(times: &Histogram<u32>) -> Self {
        Self::of(times, 1_000)
    }

    fn of<C: Counter>(times: &Histogram<C>, per_us: u64) -> Self {
        let mut counts = [0; BOUNDS_US.len() + 1];
        let mut sum = 0.0;
        for step in times.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_since_last_iteration());
            counts[BOUNDS_US.partition_point(|&bound| bound * per_us < value)] += count;
            sum += times.median_equivalent(value) as f64 * count as f64;
        }
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        Self { sum: sum / 1e6 / per_us as f64, count: times.len(), buckets: bounds.zip(counts).collect() }
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        for (place, more) in self.buckets.iter_mut().zip(&other.buckets) {
            place.1 += more.1;
        }
    }
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Counter(u64),
    CounterOf(f64),
    Gauge(f64),
    Times(Histo),
}

/// Series of one name.
#[derive(Clone, Debug)]
struct Family {
    name: String,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Labels, Value)>,
}

/// Families of metrics, in order.
#[derive(Clone, Debug)]
pub struct Families {
    prefix: &'static str,
    all: Vec<Family>,
}

impl Families {
    /// None yet. `prefix`: what every name begins with, without the last underscore.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, all: Vec::new() }
    }

    fn add(&mut self, name: &str, help: &'static str, kind: MetricType, series: Vec<(Labels, Value)>) {
        if !series.is_empty() {
            self.all.push(Family { name: format!("{}_{name}", self.prefix), help, kind, series });
        }
    }

    /// A counter. Its name is without `_total`, which the text has.
    pub fn counter(&mut self, name: &str, help: &'static str, series: impl IntoIterator<Item = (Labels, u64)>) {
        let series = series.into_iter().map(|(labels, value)| (labels, Value::Counter(value)));
        self.add(name, help, MetricType::Counter, series.collect());
    }

    /// A counter of seconds.
    pub fn seconds(&mut self, name: &str, help: &'static str, series: impl IntoIterator<Item = (Labels, f64)>) {
        let series = series.into_iter().map(|(labels, value)| (labels, Value::CounterOf(value)));
        self.add(name, help, MetricType::Counter, series.collect());
    }

    /// A value that may fall.
    pub fn gauge(&mut self, name: &str, help: &'static str, series: impl IntoIterator<Item = (Labels, f64)>) {
        let series = series.into_iter().map(|(labels, value)| (labels, Value::Gauge(value)));
        self.add(name, help, MetricType::Gauge, series.collect());
    }

    /// Times, in seconds.
    pub fn times(&mut self, name: &str, help: &'static str, series: impl IntoIterator<Item = (Labels, Histo)>) {
        let series = series.into_iter().map(|(labels, value)| (labels, Value::Times(value)));
        self.add(name, help, MetricType::Histogram, series.collect());
    }

    /// Gives every counter with its name and labels.
    pub fn each_counter(&mut self, mut visit: impl FnMut(&str, &Labels, &mut u64)) {
        for Family { name, series, .. } in &mut self.all {
            for (labels, value) in series {
                if let Value::Counter(count) = value {
                    visit(name, labels, count);
                }
            }
        }
    }

    /// As text.
    ///
    /// # Errors
    /// None that is known: names and labels are right.
    pub fn text(self, format: Format) -> Result<String, fmt::Error> {
        let (mut registry, mut out) = (Registry::default(), String::new());
        registry.register_collector(Box::new(self));
        match format {
            Format::OpenMetrics => text::encode(&mut out, &registry)?,
            Format::Prometheus => prometheus_text::encode(&mut out, &registry)?,
        }
        Ok(out)
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.all {
            let mut metric = encoder.encode_descriptor(&family.name, family.help, None, family.kind)?;
            for (labels, value) in &family.series {
                if labels.is_empty() {
                    one(&mut metric, value)?;
                } else {
                    one(&mut metric.encode_family(labels)?, value)?;
                }
            }
        }
        Ok(())
    }
}

fn one(metric: &mut MetricEncoder<'_>, value: &Value) -> Result<(), fmt::Error> {
    match value {
        Value::Counter(count) => metric.encode_counter::<NoLabelSet, _, u64>(count, None),
        Value::CounterOf(amount) => metric.encode_counter::<NoLabelSet, _, f64>(amount, None),
        Value::Gauge(value) => metric.encode_gauge(value),
        Value::Times(Histo { sum, count, buckets }) => {
            metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_as_text() {
        let mut families = Families::new("x");
        let odd = vec![("name", "a\"b\\c\nd".to_owned())];
        families.counter("asked", "Requests", [(Vec::new(), 3), (odd, 1)]);
        families.gauge("up_seconds", "Time", [(Vec::new(), 1.5)]);
        families.gauge("none", "Nothing", []);
        let text = families.text(Format::OpenMetrics).expect("text");
        let expected = "# HELP x_asked Requests\n# TYPE x_asked counter\nx_asked_total 3\n\
                        x_asked_total{name=\"a\\\"b\\\\c\\nd\"} 1\n\
                        # HELP x_up_seconds Time\n# TYPE x_up_seconds gauge\nx_up_seconds 1.5\n# EOF\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn times_are_in_buckets() {
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        for us in [1, 50, 51, 1_000, 20_000_000] {
            times.record(us).expect("in bounds");
        }
        let histo = Histo::from(&times);
        let counts: Vec<u64> = histo.buckets.iter().map(|&(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((histo.count, histo.buckets[0].0, histo.buckets[17].0), (5, 0.000_05, f64::INFINITY));
        assert!((histo.sum - 20.0011).abs() < 0.01, "{}", histo.sum);
    }
}
