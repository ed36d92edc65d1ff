//! What lengths count, command by command.

use super::*;

/// The number of a command with a reply of 3 bytes, less 4.
#[test]
fn a_number_of_a_command_is_never_below_zero() {
    let mut files = files();
    files["t.json"]["protocol"]["data_frame"][0]["resp_data_list"] = json!([
        {"name": "n", "type": "uint", "length": 1, "value": "{{data_frame_length}}", "add": -4},
        {"name": "a", "length": 2}
    ]);
    files["t.json"]["protocol"]["data_frame"][0]["req_data_list"] = json!([]);
    files["default.json"] = json!({"01": {}});
    let below = "/protocol/data_frame/0/resp_data_list/0/value: error: `n` would be -1, and a length is never below 0";
    check_all(&files, &[below], "below");
}

/// Which numbers the commands of a template leave out of `{{data_frame_length}}`; with one for all, none is asked for its own.
#[test]
fn readings_of_a_template() {
    use super::super::length::readings;
    use crate::model::field::LengthField;
    use crate::model::template::{Count, Template};
    use crate::wire::fixtures::{delimited, length};
    let check = |written: bool, less: &[i64], expected: (&[i64], i64, bool)| {
        let command = |&less: &i64| {
            let mut commands = delimited().commands.into_vec();
            commands.truncate(1);
            commands[0].less = less;
            commands
        };
        let commands: Vec<_> = less.iter().flat_map(command).collect();
        let configured = |field: &LengthField| LengthField { configured: written, ..field.clone() };
        let mut plan = Template { lengths: length().lengths.iter().map(configured).collect(), ..length() };
        readings(&mut plan, commands.iter());
        assert_eq!((&*plan.readings, plan.less, plan.command_lengths), expected, "{less:?}");
    };
    check(true, &[], (&[0], 0, false));
    check(true, &[0, 0], (&[0], 0, false));
    check(true, &[2, 2], (&[2], 2, false));
    check(true, &[2, 0, 2], (&[0, 2], 0, true));
    check(true, &[2, 1], (&[0, 1, 2], 0, true));
    check(true, &[2, -1], (&[-1, 0, 2], 0, true));
    // Nothing is written anywhere: there is nothing to read.
    check(false, &[2, 1], (&[0], 0, false));
    // One command with a length of its own is enough.
    let mut plan = length();
    let mut commands = length().commands;
    commands[1].counts = [Count { name: "n".into(), length: plan.lengths[0].clone() }].into();
    readings(&mut plan, commands.iter());
    assert!(plan.command_lengths);
}
