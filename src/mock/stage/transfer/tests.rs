//! What a request comes to, without a configuration: `tests/transfers.rs` has the exchanges.

use super::*;
use crate::fixtures::device;
use fsu_plan::model::field::Offset;
use fsu_plan::wire::fixtures::{self, delimited, raw_frame};

#[test]
fn numbers_of_a_header_are_read_in_their_order() {
    let raw = raw_frame(&delimited(), 0x12, 0x34, &[]);
    let part = |little| KeyPart { at: Offset(1), len: 2, little };
    assert_eq!((number(&part(false), &raw), number(&part(true), &raw)), (0x1234, 0x3412));
    // From the end, too.
    assert_eq!(number(&KeyPart { at: Offset(-1), len: 1, little: false }, &raw), 0x0D);
}

/// An answer of 5 bytes, so much data in frames of 4, so much room: where an answer and its data may not be sent to another host.
#[test]
fn what_is_too_long_for_another_host() {
    let check = |template: Template, chunk_bytes: usize, expected: &[(usize, usize, bool)]| {
        let template = Template { transfer: Some(fixtures::transfer(chunk_bytes)), ..template };
        let device = device(template, 1, 1, false);
        let template = &*device.template;
        let transfer = template.transfer.as_ref().expect("transfers");
        let key = Key { device: 0, peer: ([127, 0, 0, 1], 5).into(), did: 9 };
        let frame = Frame { raw: &[], wire: &[], data_len: 0 };
        let served = Served { template, transfer, key, wire: &[], frame };
        for &(data, room, too_long) in expected {
            assert_eq!(served.is_too_long(5, data, room), too_long, "{data} bytes in {room}");
        }
    };
    // The answer, and a frame of 5 and its data.
    check(delimited(), 4, &[(3, 13, false), (3, 12, true), (4, 14, false), (9, 14, false), (9, 13, true)]);
    check(delimited(), 4, &[(3, usize::MAX, false), (3, 0, true)]);
    // A demand has 5 bytes: a frame that answers one has 15 at most, where there is more than one.
    check(delimited(), 10, &[(11, 99, false), (10, 99, false)]);
    check(delimited(), 11, &[(11, 99, false), (12, 99, true), (12, usize::MAX, false)]);
    // In hex characters all but start and end is twice as long.
    check(fixtures::ascii_delimited(), 4, &[(3, 22, false), (3, 21, true)]);
    check(fixtures::ascii_delimited(), 8, &[(9, 99, false)]);
    check(fixtures::ascii_delimited(), 9, &[(10, 99, true)]);
}
