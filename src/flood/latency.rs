//! Histograms of latencies, and how much of a sample is kept.

use hdrhistogram::Histogram;

/// Latencies from 100 ns to 100 s, to three digits.
const LATENCY_NS_MIN: u64 = 100;
const LATENCY_NS_MAX: u64 = 100_000_000_000;
const DIGITS: u8 = 3;
/// Bytes of a sample that are kept: any frame whole, so that it can be explained.
const SAMPLE_BYTES_MAX: usize = 1 << 16;

/// A histogram of nanoseconds; about 110 KiB once it is written to all over.
pub type Latency = Histogram<u32>;

/// An empty histogram.
pub fn latency() -> Latency {
    // The bounds are valid constants; a histogram that grows would do the same.
    Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, DIGITS).unwrap_or_else(|_| unbounded())
}

fn unbounded() -> Latency {
    match Histogram::new(DIGITS) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("three digits are a legal precision"),
    }
}

/// Of a sample's bytes, those that are kept.
pub fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(SAMPLE_BYTES_MAX);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_sample_bytes_max() {
        let bytes = |n: usize| cut(vec![7; n]).len();
        assert_eq!((bytes(65_536), bytes(65_537)), (65_536, 65_536));
    }

    #[test]
    fn limit_latency_ns_max() {
        let mut latency = latency();
        latency.saturating_record(u64::MAX);
        let told = latency.max();
        assert!((LATENCY_NS_MAX..LATENCY_NS_MAX + LATENCY_NS_MAX / 1_000 * 400).contains(&told), "{told}");
    }
}
