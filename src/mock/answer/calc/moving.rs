//! Values that move: pure functions of the run's clock, the run's seed and the FSU.

use super::{Failed, Machine, Value};
use crate::state::identity::{STEP, mix};
use fsu_plan::model::calc::Op;
use fsu_plan::wire::calc::{NoValue, Num};

/// Milliseconds of a second.
const SECOND_MS: f64 = 1_000.0;

impl Machine<'_, '_> {
    pub(super) fn moving(&mut self, op: Op) -> Result<(), Failed> {
        let inputs = self.inputs.as_mut().ok_or(Failed::Unknown)?;
        let (ms, seed) = (inputs.since_start_ms(), inputs.dice.of_fsu());
        if let Op::Csv(table) = op {
            let column = self.calc.tables.get(usize::from(table)).ok_or(Failed::Unknown)?;
            let row = (ms / 1_000) as usize % column.len().max(1);
            let number = column.get(row).copied().ok_or(Failed::Absent)?;
            let whole = number.fract() == 0.0 && number.abs() < 9e15;
            self.push(Value::Num(if whole { Num::Int(number as i64) } else { Num::Dec(number) }));
            return Ok(());
        }
        let last = self.pop_number()?.as_f64();
        let high = self.pop_number()?.as_f64();
        let low = self.pop_number()?.as_f64();
        let number = match op {
            Op::Ramp => low + (high - low) * phase(ms, last)?,
            Op::Sine => {
                let angle = phase(ms, last)? * std::f64::consts::TAU;
                f64::midpoint(low, high) + (high - low) / 2.0 * angle.sin()
            }
            Op::Walk(path) => walk((low, high), last, ms, mix(seed ^ u64::from(path).wrapping_mul(STEP)))?,
            _ => return Err(Failed::Unknown),
        };
        if !number.is_finite() {
            return Err(NoValue::Overflow.into());
        }
        self.push(Value::Num(Num::Dec(number)));
        Ok(())
    }
}

/// How much of a period has passed, 0 to 1.
fn phase(ms: u64, period_s: f64) -> Result<f64, Failed> {
    if period_s > 0.0 { Ok((ms as f64 / SECOND_MS / period_s).fract()) } else { Err(NoValue::Zero.into()) }
}

/// A value between both that changes by at most `step` in a second: straight lines between points that are drawn.
fn walk((low, high): (f64, f64), step: f64, ms: u64, seed: u64) -> Result<f64, Failed> {
    if low > high || step <= 0.0 {
        return Err(NoValue::Zero.into());
    }
    // From one end to the other it takes this long.
    let every_s = ((high - low) / step).ceil().max(1.0);
    let at = ms as f64 / SECOND_MS / every_s;
    let point = |number: f64| {
        let drawn = mix(seed ^ mix((number as u64).wrapping_add(STEP)));
        // 53 bits, 0 to 1.
        low + (high - low) * ((drawn >> 11) as f64 / (1_u64 << 53) as f64)
    };
    let (from, to) = (point(at.floor()), point(at.floor() + 1.0));
    Ok(from + (to - from) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_stays_between_its_ends_and_never_jumps() {
        let at = |ms: u64| walk((10.0, 30.0), 2.0, ms, 7).expect("a value");
        let mut before = at(0);
        let (mut least, mut most) = (before, before);
        for ms in (0..600_000).step_by(100) {
            let here = at(ms);
            assert!((10.0..=30.0).contains(&here) && (here - before).abs() <= 0.2 + 1e-9, "{ms}: {before} to {here}");
            (before, least, most) = (here, least.min(here), most.max(here));
        }
        assert!(most - least > 10.0, "{least} to {most}");
        assert_eq!(at(12_345).to_bits(), at(12_345).to_bits());
        assert_eq!(walk((3.0, 1.0), 1.0, 0, 7), Err(Failed::NoValue(NoValue::Zero)));
        assert_eq!(walk((1.0, 1.0), 1.0, 0, 7), Ok(1.0));
    }

    #[test]
    fn periods() {
        assert_eq!(phase(1_500, 6.0), Ok(0.25));
        assert_eq!(phase(6_000, 6.0), Ok(0.0));
        assert_eq!(phase(1, 0.0), Err(Failed::NoValue(NoValue::Zero)));
    }
}
