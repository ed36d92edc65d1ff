//! Line charts as inline SVG, coloured by the page's style sheet.

use crate::numbers::thousands;
use std::fmt::Write as _;

/// Size of a chart, in SVG units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
/// Width of a character of the axes' texts, at the most.
const CHARACTER: f64 = 8.0;
/// Room for the axes' texts; more to the left where they are longer.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Points of a line, at most: longer ones are thinned.
const POINTS_MAX: usize = 1200;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// Class of the style sheet: its colour.
    pub class: &'static str,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Points are not joined.
    pub is_dots: bool,
}

impl Line {
    /// Points that are joined.
    pub fn joined(name: &'static str, class: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name, class, points, is_dots: false }
    }

    /// Points that are not.
    pub fn dots(name: &'static str, class: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name, class, points, is_dots: true }
    }
}

/// An axis: which value is at which place.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures.
    pub title: &'static str,
    /// Place and text.
    pub ticks: Vec<(f64, String)>,
    /// Least and most.
    pub range: (f64, f64),
}

/// Round numbers that divide 0 to `most` into a few steps.
pub fn steps(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0, 1.0];
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
    let count = (most / step).ceil() as usize;
    (0..=count).map(|n| n as f64 * step).collect()
}

/// The text of a tick: whole numbers with their thousands, others with the digits that tell steps apart.
pub fn tick(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 * value.abs().max(1.0) {
        return thousands(value.round() as u64);
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').to_owned()
}

impl Axis {
    /// From 0, with round steps.
    pub fn linear(title: &'static str, most: f64, text: impl Fn(f64) -> String) -> Self {
        let steps = steps(most);
        let last = steps.last().copied().unwrap_or(1.0);
        Self { title, ticks: steps.into_iter().map(|at| (at, text(at))).collect(), range: (0.0, last) }
    }

    /// The logarithm to base 10 of values between these; ticks at 1, 2 and 5 times powers of ten, or at these alone where
    /// that were too many.
    pub fn log(title: &'static str, least: f64, most: f64, text: impl Fn(f64) -> String) -> Self {
        let (least, most) = (least.max(0.1), most.max(least).max(0.2));
        let powers = least.log10().floor() as i32..=most.log10().ceil() as i32;
        let every: &[f64] = if powers.clone().count() > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all: Vec<f64> = powers.flat_map(|power| every.iter().map(move |n| n * 10_f64.powi(power))).collect();
        let low = all.iter().copied().filter(|tick| *tick <= least).fold(0.1, f64::max);
        let high = all.iter().copied().filter(|tick| *tick >= most && *tick > low).fold(f64::INFINITY, f64::min);
        let high = if high.is_finite() { high } else { most };
        let kept = all.into_iter().filter(|tick| (low..=high).contains(tick));
        Self { title, ticks: kept.map(|tick| (tick.log10(), text(tick))).collect(), range: (low.log10(), high.log10()) }
    }

    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A chart. Writing to a String cannot fail.
pub fn chart(name: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let mut out = String::new();
    let width = |text: &str| text.chars().count() as f64 * CHARACTER;
    let left = y.ticks.iter().map(|(_, text)| width(text) + 8.0).fold(LEFT, f64::max);
    let at_x = |value: f64| left + x.place(value) * (WIDTH - left - RIGHT);
    let at_y = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
    let _ = writeln!(out, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">"#);
    for (value, text) in &y.ticks {
        let place = at_y(*value);
        let (from, to) = (left, WIDTH - RIGHT);
        let _ = writeln!(out, r#"<line class="grid" x1="{from}" x2="{to}" y1="{place:.1}" y2="{place:.1}"/>"#);
        let (tx, ty) = (left - 8.0, place + 4.0);
        let _ = writeln!(out, r#"<text class="tick" text-anchor="end" x="{tx}" y="{ty:.1}">{text}</text>"#);
    }
    for (value, text) in &x.ticks {
        // One at the edge ends there, so that it is not cut off.
        let most = WIDTH - width(text) / 2.0;
        let (place, ty) = (at_x(*value).min(most), HEIGHT - BOTTOM + 16.0);
        let _ = writeln!(out, r#"<text class="tick" text-anchor="middle" x="{place:.1}" y="{ty}">{text}</text>"#);
    }
    let (middle, bottom) = (left + (WIDTH - left - RIGHT) / 2.0, HEIGHT - 6.0);
    let _ = writeln!(out, r#"<text class="tick" text-anchor="middle" x="{middle}" y="{bottom}">{}</text>"#, x.title);
    for line in lines {
        let kept = kept(line.points.len()).filter_map(|index| line.points.get(index));
        let points: Vec<String> = kept.map(|(px, py)| format!("{:.1},{:.1}", at_x(*px), at_y(*py))).collect();
        let class = line.class;
        match points.as_slice() {
            [] => {}
            dots if line.is_dots || dots.len() == 1 => {
                for (cx, cy) in dots.iter().filter_map(|one| one.split_once(',')) {
                    let _ = writeln!(out, r#"<circle class="dot {class}" cx="{cx}" cy="{cy}" r="3"/>"#);
                }
            }
            all => {
                let _ = writeln!(out, r#"<polyline class="line {class}" points="{}"/>"#, all.join(" "));
            }
        }
    }
    out.push_str("</svg>\n");
    let mut legend = String::new();
    for line in lines {
        let _ = write!(legend, r#"<span class="key {}"><i></i>{}</span>"#, line.class, line.name);
    }
    let _ = writeln!(out, r#"<p class="legend"><span class="unit">{}</span>{legend}</p>"#, y.title);
    out
}

/// Which of that many points are drawn: evenly thinned, and the last one.
fn kept(points: usize) -> impl Iterator<Item = usize> {
    let every = points.div_ceil(POINTS_MAX).max(1);
    (0..points).filter(move |index| index % every == 0 || index + 1 == points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_steps() {
        let check = |most: f64, expected: &[f64]| assert_eq!(steps(most), expected, "{most}");
        check(0.0, &[0.0, 1.0]);
        check(4.0, &[0.0, 1.0, 2.0, 3.0, 4.0]);
        check(97.0, &[0.0, 25.0, 50.0, 75.0, 100.0]);
        check(130_000.0, &[0.0, 50_000.0, 100_000.0, 150_000.0]);
    }

    #[test]
    fn n18_ticks_are_short_and_told_apart() {
        let check = |most: f64, expected: &[&str]| {
            let axis = Axis::linear("s", most, tick);
            let shown: Vec<&str> = axis.ticks.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(shown, expected, "{most}");
        };
        check(0.31, &["0", "0.1", "0.2", "0.3", "0.4"]);
        check(0.173, &["0", "0.05", "0.1", "0.15", "0.2"]);
        check(0.02, &["0", "0.005", "0.01", "0.015", "0.02"]);
        check(2.0, &["0", "0.5", "1", "1.5", "2"]);
        check(9_000.0, &["0", "2,500", "5,000", "7,500", "10,000"]);
    }

    #[test]
    fn n18_no_label_is_cut_off() {
        let x = Axis { title: "percentile", ticks: vec![(6.0, "99.9999 %".into())], range: (0.0, 6.0) };
        let y = Axis { title: "per second", ticks: vec![(1.0, "10,000,000".into())], range: (0.0, 1.0) };
        let svg = chart("test", &x, &y, &[]);
        // 9 characters around their middle, 10 up to their end.
        assert!(
            svg.contains("text-anchor=\"middle\" x=\"724.0\"") && svg.contains("text-anchor=\"end\" x=\"80\""),
            "{svg}"
        );
    }

    #[test]
    fn lines_lie_within_the_chart() {
        let x = Axis::linear("s", 10.0, |at| at.to_string());
        let y = Axis::log("us", 3.0, 900.0, |at| at.to_string());
        let shown: Vec<&str> = y.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(shown, ["2", "5", "10", "20", "50", "100", "200", "500", "1000"]);
        let points = (0..5000).map(|n| (f64::from(n) / 100.0, 2.0)).collect();
        let svg = chart("test", &x, &y, &[Line::joined("a", "a", points)]);
        assert!(svg.contains("points=\"72.0,"), "{svg}");
        assert!(svg.len() < 40_000, "{}", svg.len());
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn limit_points_max() {
        let kept = |points: usize| kept(points).count();
        assert_eq!((kept(0), kept(1), kept(POINTS_MAX)), (0, 1, POINTS_MAX));
        // Every second, and the last.
        assert_eq!((kept(POINTS_MAX + 1), kept(2 * POINTS_MAX)), (POINTS_MAX / 2 + 1, POINTS_MAX + 1));
        assert!((0..10 * POINTS_MAX).all(|points| kept(points) <= POINTS_MAX + 1));
    }
}
