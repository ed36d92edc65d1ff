//! Frames in envelopes on a stream, where one stray byte or another device's frame is near: each stream is compared with the judge
//! (`tests/naive/envelope.rs`), at once, byte by byte and split at every place.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod fuzzing;
mod naive;

use fuzzing::envelopes::{answers, port};
use naive::fields::unhex;

#[track_caller]
fn check(devices: &str, stream: &str, expected: &[&str]) {
    let plain = |text: &str| text.replace(' ', "");
    let expected: Vec<String> = expected.iter().map(|text| plain(text)).collect();
    assert_eq!(answers(port(devices), &unhex(&plain(stream)).unwrap()), expected, "{stream}");
}

#[test]
fn frames_share_their_mark() {
    check("flags", "7E 01AA AB 7E 01BB BA 7E", &["7E 01AA AB 7E", "7E 01BB BA 7E"]);
    // Whichever of the devices the first one was for.
    let (short, long) = ("01AA AB", "0100 2000");
    check(
        "flags, flags with lengths",
        &format!("7E {short} 7E {long} 7E"),
        &[&format!("7E {short} 7E"), &format!("7E {long} 7E")],
    );
    check(
        "flags, flags with lengths",
        &format!("7E {long} 7E {short} 7E"),
        &[&format!("7E {long} 7E"), &format!("7E {short} 7E")],
    );
}

/// A mark begins no frame of a device that has other marks.
#[test]
fn a_mark_is_the_one_of_its_device() {
    check("DLE, flags", "7E 02F0 F2 7E 1102 01F0 01 1003 7E 7E 0101 7E", &["7E 0101 7E"]);
}

/// Behind the mark of another frame the bytes are a frame's, though they may be skipped before a start.
#[test]
fn fill_is_before_a_mark() {
    let good = "01 05 2323232323 F73C 7E";
    check("flags with lengths, FE skipped", &format!("FE FE 7E {good}"), &[&format!("7E {good}")]);
    check("flags with lengths, FE skipped", &format!("7E 7D 7E FE {good}"), &[]);
    check("flags with lengths, FE skipped", &format!("7E 7D 7E FE 7E {good}"), &[&format!("7E {good}")]);
}

/// A frame with a broken escape costs no good frame of another device, nor one behind a false start.
#[test]
fn good_frames_behind_a_broken_escape() {
    check(
        "flags, 68 and lengths",
        "7E 7D7D FEFE 68 0100 2000 16 7E 01F0 F1 7E",
        &["FEFE 68 0100 2000 16", "7E 01F0 F1 7E"],
    );
    check("DLE", "1002 1055 10 1002 0101 1003", &["1002 0101 1003"]);
}

/// Nor does one that was given up end anything: its mark is a start only.
#[test]
fn a_frame_that_is_given_up_ends_nothing() {
    let good = "68 0102 6DB1 9832 16";
    let stream = format!("7E 01A0A0 7E 0024 00 6868 {good} 0003 7E 6868 {good} 0003 7E 09");
    check("flags, 68 and lengths", &stream, &[&format!("FEFE {good}"), &format!("FEFE {good}")]);
}
