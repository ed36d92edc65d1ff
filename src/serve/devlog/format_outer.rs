//! The outer frame as text: every field, the right value beside a wrong one.

use super::format_inner::InnerText;
use super::page::Page;
use super::record::RecordKind;
use fsu_core::about::About;
use fsu_plan::model::fleet::{Fsu, FsuId};
use fsu_plan::wire::envelope::{CENTER_BYTES, COMM_HEARTBEAT, HEARTBEAT_BYTES, OVERHEAD_BYTES, at, xor};

/// Bytes that P_pLen does not count: up to itself, P_verify and P_tailer.
const UNCOUNTED_BYTES: usize = 35;

/// Appends the fields of `plain`, an unescaped frame, and of the inner frame in it.
///
/// A frame that failed a check is shown too; which check, `about` says.
pub(super) fn outer_text(
    fsu: &Fsu,
    (kind, about): (RecordKind, About),
    plain: &[u8],
    inner: &mut InnerText,
    page: &mut Page<'_>,
) {
    let Some(head) = plain.first_chunk::<HEARTBEAT_BYTES>() else { return };
    let received = kind == RecordKind::Received;
    let dest_bytes = if received { FsuId::BYTES } else { CENTER_BYTES };
    let (dest, src) = head[at::DEST..at::SUB_DEV_TYPE].split_at(dest_bytes);
    let comm_type = [head[at::COMM_TYPE + 1], head[at::COMM_TYPE]];
    number(page, "P_header", &head[..1]);
    bytes(page, "P_dest_addr", dest);
    bytes(page, "P_src_addr", src);
    number(page, "P_subDevType", &head[at::SUB_DEV_TYPE..][..1]);
    number(page, "P_subDev_addr", &head[at::SUB_DEV_ADDR..][..1]);
    length(page, "P_pLen", [head[at::P_LEN], head[at::P_LEN + 1]], plain.len() - UNCOUNTED_BYTES);
    number(page, "RtnFlag", &head[at::RTN_FLAG..][..1]);
    number(page, "CommType", &comm_type);
    let (body, end) = plain.split_at(plain.len() - 2);
    let through = if u16::from_be_bytes(comm_type) == COMM_HEARTBEAT { None } else { body.get(at::DATA..) };
    if let Some(through) = through {
        let len = [head[at::DATA_LEN], head[at::DATA_LEN + 1]];
        length(page, page.labels.through_len, len, plain.len() - OVERHEAD_BYTES);
        page.name(4, page.labels.through);
        page.lower(through);
        page.end();
    }
    page.name(4, "P_verify");
    page.number(&end[..1]);
    let verify = xor(&body[1..]);
    if end[0] != verify {
        page.open_computed();
        page.number(&[verify]);
        page.text(")");
    }
    page.end();
    number(page, "P_tailer", &end[1..]);
    if let Some(through) = through {
        inner.through(fsu, (kind, about), through, page);
    }
}

fn number(page: &mut Page<'_>, name: &str, bytes: &[u8]) {
    page.name(4, name);
    page.number(bytes);
    page.end();
}

fn bytes(page: &mut Page<'_>, name: &str, bytes: &[u8]) {
    page.name(4, name);
    page.upper(bytes);
    page.end();
}

/// A length that travels low byte first, and is taken high byte first where only that is right.
fn length(page: &mut Page<'_>, name: &str, wire: [u8; 2], expected: usize) {
    let low_first = u16::from_le_bytes(wire);
    let high_first = u16::from_be_bytes(wire);
    page.name(4, name);
    if usize::from(low_first) == expected {
        page.number(&low_first.to_be_bytes());
    } else if usize::from(high_first) == expected {
        page.number(&high_first.to_be_bytes());
        page.text(" (");
        page.text(page.labels.high_byte_first);
        page.text(")");
    } else {
        page.number(&low_first.to_be_bytes());
        page.open_computed();
        let right = (expected as u32).to_be_bytes();
        page.number(if expected > 0xFFFF { &right } else { &right[2..] });
        page.text(")");
    }
    page.end();
}
