//! The outer frame as text: every field, with the right value beside a wrong one.

use super::format_inner::InnerText;
use super::page::Page;
use super::record::RecordKind;
use fsu_core::about::About;
use fsu_core::dissect::outer::{Outer, OuterField, OuterPiece, OuterValue, Way};
use fsu_plan::model::fleet::Fsu;

/// Appends the fields of `plain`, an unescaped frame, and of the inner frame in it.
///
/// Also shows a frame that failed a check; `about` says which one.
pub(super) fn outer_text(
    fsu: &Fsu,
    (kind, about): (RecordKind, About),
    plain: &[u8],
    inner: &mut InnerText,
    page: &mut Page<'_>,
) {
    let way = if kind == RecordKind::Received { Way::Down } else { Way::Up };
    let outer = Outer { plain, way, fsu };
    if !outer.is_whole() {
        return;
    }
    outer.visit(|piece| {
        let name = match piece.field {
            OuterField::DataLen => page.labels.through_len,
            OuterField::Data => page.labels.through,
            field => field.name(),
        };
        page.name(4, name);
        value(piece, page);
        page.end();
    });
    if let Some(through) = outer.through() {
        inner.through(fsu, (kind, about), through, page);
    }
}

fn value(piece: OuterPiece<'_>, page: &mut Page<'_>) {
    match piece.value {
        OuterValue::Byte { right } => {
            page.number(piece.bytes);
            if *piece.bytes != [right] {
                computed(&[right], page);
            }
        }
        OuterValue::Address(_) => page.upper(piece.bytes),
        OuterValue::Device | OuterValue::Rtn { .. } => page.number(piece.bytes),
        OuterValue::Comm(comm_type) => page.number(&comm_type.to_be_bytes()),
        OuterValue::Data => page.lower(piece.bytes),
        OuterValue::Length { value, high_first, right } => {
            page.number(&value.to_be_bytes());
            match right {
                _ if high_first => {
                    for text in [" (", page.labels.high_byte_first, ")"] {
                        page.text(text);
                    }
                }
                Some(right) if right != usize::from(value) => {
                    let bytes = (right as u32).to_be_bytes();
                    computed(if right > 0xFFFF { &bytes } else { &bytes[2..] }, page);
                }
                _ => {}
            }
        }
    }
}

fn computed(right: &[u8], page: &mut Page<'_>) {
    page.open_computed();
    page.number(right);
    page.text(")");
}
