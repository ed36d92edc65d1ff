//! Values that each FSU has of its own and never changes: parameters and the id, and what follows from them alone.

use fsu_core::answer::build::{Inputs, text};
use fsu_core::answer::random::Dice;
use fsu_core::predict::target;
use fsu_core::state::FsuState;
use fsu_plan::model::calc::Op;
use fsu_plan::model::field::Slot;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::reply::{Expr, Part, Patch, Reply};
use fsu_plan::wire::civil::{Calendar, Now};
use fsu_plan::wire::value;

/// Such a value in a frame.
#[derive(Debug)]
pub struct OwnValue {
    /// Its first byte in the raw frame.
    pub at: usize,
    /// Its field.
    pub slot: Slot,
    value: Expr,
}

impl OwnValue {
    /// Its bytes of a raw frame.
    pub fn of<'r>(&self, raw: &'r [u8]) -> Option<&'r [u8]> {
        raw.get(self.at..self.at + self.slot.len)
    }

    /// Appends its bytes as an FSU writes them. `device`: number of the FSU's device that says it. False: they do not fit the field,
    /// and the FSU leaves what the template has.
    pub fn write(&self, (fsu, state): (&Fsu, &mut FsuState), device: usize, out: &mut Vec<u8>) -> bool {
        let (mut calendar, mut dice) = (Calendar::default(), Dice::from(fastrand::Rng::with_seed(0)));
        let mut inputs = Inputs {
            request: &[],
            trace: None,
            state: Some(state),
            device,
            id_hex: &fsu.id,
            seq: 0,
            due: Now { unix_ms: 0, utc_offset_s: 0 },
            moment: None,
            calendar: &mut calendar,
            dice: &mut dice,
            item: None,
        };
        let mut written = Vec::new();
        text(&self.value, &mut inputs, &mut written);
        let from = out.len();
        out.resize(from + self.slot.len, self.slot.blank());
        value::encode(&self.slot, &written, &mut out[from..]).is_ok()
    }
}

/// Those of a frame of that size, in the order of their places.
pub fn own_values(reply: &Reply, len: usize) -> Vec<OwnValue> {
    let mut all = Vec::new();
    for (number, patch) in reply.patches.iter().enumerate() {
        let Patch::Text { value, to, slot } = patch else { continue };
        let place = *to..to + slot.len;
        let is_covered = reply.patches[number + 1..].iter().any(|later| {
            let (to, len) = target(later);
            to < place.end && place.start < to + len
        });
        if is_own(value) && !is_covered && place.end <= len {
            all.push(OwnValue { at: *to, slot: slot.clone(), value: value.clone() });
        }
    }
    all.sort_by_key(|own| own.at);
    all
}

/// Does a value follow from the FSU's id and parameters alone?
fn is_own(value: &Expr) -> bool {
    let of = |part: &Part| match part {
        Part::FsuId => Some(true),
        Part::Literal(_) => Some(false),
        Part::Calc(calc) => {
            let all = calc.ops.iter().map(|op| known(*op)).collect::<Option<Vec<bool>>>()?;
            Some(all.contains(&true))
        }
        _ => None,
    };
    value.parts.iter().map(of).collect::<Option<Vec<bool>>>().is_some_and(|all| all.contains(&true))
}

/// Whether an operation reads what is the FSU's own; `None`: it reads something else.
fn known(op: Op) -> Option<bool> {
    match op {
        Op::FsuId | Op::Param(_) => Some(true),
        Op::Int(_)
        | Op::Dec(_)
        | Op::Text(..)
        | Op::Bytes(..)
        | Op::OrElse(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Truth
        | Op::Jump(_)
        | Op::IfNot(_)
        | Op::And(_)
        | Op::Or(_)
        | Op::Min
        | Op::Max
        | Op::Round
        | Op::Hex
        | Op::Decimal
        | Op::Parse
        | Op::Len
        | Op::Substr
        | Op::Cat(_)
        | Op::Crc(_)
        | Op::Be
        | Op::Le => Some(false),
        _ => None,
    }
}
