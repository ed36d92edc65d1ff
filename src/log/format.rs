//! The text of one device-log record (spec device-log.md).

/// Appends the line that tells of lost records, in the words of the spec.
pub(super) fn lost_line(records: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("... {records} records lost here\n").as_bytes());
}
