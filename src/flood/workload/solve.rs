//! Request values that make a condition hold: of each field that it compares with a constant by `==`. Pure.

use fsu_core::client::request::put;
use fsu_plan::model::calc::{Asked, Calc, Compare, Op};
use fsu_plan::model::field::{Computed, Field, Offset};

/// Operations of one equality: its two sides and the comparison.
const EQUALITY: usize = 3;

/// Writes the constants that `test` compares fields with into a raw request: of each place the first one, and none into a place
/// that `is_given`. Whether the condition then holds has to be tried.
pub fn write_equal(test: &Calc, is_given: impl Fn((Offset, usize)) -> bool, raw: &mut [u8]) {
    let mut done: Vec<(Offset, usize)> = Vec::new();
    for ops in test.ops.windows(EQUALITY) {
        let [a, b, Op::Compare(Compare::Equal)] = ops else { continue };
        let Some((field, constant)) = side(test, *a, *b).or_else(|| side(test, *b, *a)) else { continue };
        let place = (field.at, field.slot.len);
        let at = field.at.in_frame(raw.len());
        let is_inside = at.checked_add(field.slot.len).is_some_and(|end| end <= raw.len());
        if !is_inside || done.contains(&place) || is_given(place) {
            continue;
        }
        if forms(&constant, field.slot.len).iter().any(|text| put(&field, text.as_bytes(), raw).is_ok()) {
            done.push(place);
        }
    }
}

/// The field of one operation, and the constant of the other.
fn side(test: &Calc, field: Op, constant: Op) -> Option<(Field, String)> {
    let (Op::FieldNumber(number) | Op::FieldText(number) | Op::FieldBytes(number)) = field else { return None };
    let Asked::Fixed { at, slot } = test.fields.get(usize::from(number))? else { return None };
    let pool = |from: u32, to: u32| test.pool.get(from as usize..to as usize);
    let text = match constant {
        Op::Int(number) => number.to_string(),
        Op::Dec(number) => number.to_string(),
        Op::Text(from, to) => String::from_utf8_lossy(pool(from, to)?).into_owned(),
        Op::Bytes(from, to) => hex::encode_upper(pool(from, to)?),
        _ => return None,
    };
    let field = Field { name: Box::default(), at: *at, slot: slot.clone(), computed: Computed::No };
    Some((field, text))
}

/// The notations that a field may take a constant in: as it is; as a number without leading zeros; as hex digits of all its bytes.
fn forms(text: &str, bytes: usize) -> [String; 3] {
    let number = text.trim_start_matches('0');
    let number = if number.is_empty() { "0" } else { number };
    [text.to_owned(), number.to_owned(), format!("{text:0>width$}", width = 2 * bytes)]
}
