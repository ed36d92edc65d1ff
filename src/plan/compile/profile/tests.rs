//! What has a profile, and what is left to the general code.

use super::layout::{Bytes, Layout, masks};
use super::*;
use crate::config::budget::PLAN_BYTES_LEAST;
use crate::model::fault::FaultSet;
use crate::model::field::{Constant, Offset, Slot};
use crate::model::field::{KeyPart, Kind};
use crate::model::fixtures::{device, fleet, fsu};
use crate::model::profile::Block;
use crate::model::reply::{Expr, Form, Number, Part, Patch, Payload, Refusal, Reply};
use crate::model::rule::{Rule, SetRegister};
use crate::model::template::{Algorithm, Checksum, KeyShape, Special, Template};
use crate::model::walk::{NEST_MAX, Path, Walk, WalkedConstant, Walks};
use crate::wire::fixtures::{ascii_length, delimited, fixed, frame, keyed, length, transfer};
use std::sync::Arc;

/// A device of that template, whose first rule may be changed.
fn with(template: Template, change: impl FnOnce(&mut Rule)) -> Device {
    let mut device = Arc::into_inner(device(template, 1, 1, false)).expect("one owner");
    change(&mut device.rules[0][0]);
    device
}

/// The groups that have rows.
fn groups(profile: &Profile) -> impl Iterator<Item = &Group> {
    profile.keys.groups.iter().filter(|group| !group.rows.is_empty())
}

/// A block that begins with these bytes.
fn block(bytes: &[u8]) -> Block {
    std::array::from_fn(|number| bytes.get(number).copied().unwrap_or_default())
}

/// The profiles of a device: `BYTES:` and `COMMAND.RULE=REPLIES` for each row; without a rule, `COMMAND.`.
fn told(device: &Device) -> String {
    let profiles = profiles(device);
    let rows = |group: &Group| {
        let row = |row: &Row| match row.answers.len() {
            0 => format!(" {}.", row.command),
            count => format!(" {}.{}={count}", row.command, row.rule),
        };
        group.rows.iter().map(row).collect::<String>()
    };
    let one = |(len, number): (usize, &u16)| {
        let profile = profiles.list.get(usize::from(*number).checked_sub(1)?)?;
        Some(format!("{len}:{}", profile.keys.groups.iter().map(rows).collect::<String>()))
    };
    profiles.by_len.iter().enumerate().filter_map(one).collect::<Vec<_>>().join("; ")
}

/// An `ascii_hex` template whose checksum is taken over the characters.
fn over_wire() -> Template {
    let template = ascii_length();
    let checksum = template.checksum.map(|checksum| Checksum { over_wire: true, ..checksum });
    Template { checksum, ..template }
}

/// A reply of that template, with these patches.
fn reply(template: &Template, data: &[u8], patches: Vec<Patch>) -> Arc<Reply> {
    let mut raw = crate::wire::fixtures::raw_frame(template, 0, 0, data);
    let checksum = raw.len() - 2;
    raw[checksum] = 0;
    let data_len = raw.len() - template.left_len - template.tail_len;
    Arc::new(Reply {
        frame: raw.into(),
        patches: patches.into(),
        data_len,
        less: 0,
        refusal: None,
        payload: Payload::None,
    })
}

#[test]
fn lengths_that_have_a_profile() {
    let check = |template: Template, expected: &str| assert_eq!(told(&with(template, |_| ())), expected);
    // Command 11 is never answered.
    check(fixed(), "9: 0.0=1 0.");
    check(delimited(), "5: 0.0=1 0.");
    check(length(), "6: 0.0=1 0.");
    check(keyed(), "6: 0.0=1 0.");
    check(over_wire(), "12: 0.0=1 0.");
}

#[test]
fn templates_without_a_profile() {
    let check = |change: &dyn Fn(&mut Template), template: Template| {
        let mut template = template;
        change(&mut template);
        assert_eq!(told(&with(template, |_| ())), "");
    };
    check(&|template| template.transfer = Some(transfer(8)), fixed());
    check(&|template| template.command_lengths = true, fixed());
    check(&|template| template.readings = [0, 1].into(), length());
    // Two places where a key may be.
    check(
        &|template| {
            let shape = KeyShape { data_len_min: 0, parts: Box::default(), table: Vec::new().into() };
            template.keys = template.keys.iter().cloned().chain([shape]).collect();
        },
        fixed(),
    );
    // A key of three windows.
    check(
        &|template| {
            let part = |at| KeyPart { at: Offset(at), len: 1, little: false };
            template.keys[0].parts = [2, 20, 40].map(part).into();
            template.data_len_fixed = Some(60);
        },
        fixed(),
    );
    // A checksum of bytes that travel as digits, and one over itself.
    check(&|_| (), ascii_length());
    check(
        &|template| {
            let special = Special { holds_itself: true, mask: 0xFF, ..crate::compile::sums::special(Algorithm::Sum) };
            let own = template.checksum.take();
            template.checksum =
                own.map(|own| Checksum { algorithm: Algorithm::Special(Box::new(special)), to: Offset(-1), ..own });
        },
        fixed(),
    );
}

/// A frame of 216 bytes has 256 in an outer frame.
#[test]
fn limit_profiled_bytes_max_longer_frames_have_no_profile() {
    let check = |data_len: usize, expected: &str| {
        let template = Template { data_len_fixed: Some(data_len), ..fixed() };
        assert_eq!(told(&with(template, |_| ())), expected);
    };
    check(211, "216: 0.0=1 0.");
    check(212, "");
}

/// Rules of one key are tried one after the other, with the row of a command that no rule fits.
#[test]
fn limit_rows_max_longer_lists_of_rules_have_no_profile() {
    let check = |count: usize, has_profile: bool| {
        let mut device = with(fixed(), |_| ());
        let rules = (0..count).flat_map(|_| with(fixed(), |_| ()).rules).filter_map(|rules| rules.into_iter().next());
        device.rules[0] = rules.step_by(2).take(count).collect();
        assert_eq!((device.rules[0].len(), !told(&device).is_empty()), (count, has_profile));
    };
    check(32, true);
    check(33, false);
}

#[test]
fn rules_without_a_profile() {
    let check = |template: fn() -> Template, change: &dyn Fn(&Template, &mut Rule), expected: &str| {
        assert_eq!(told(&with(template(), |rule| change(&template(), rule))), expected);
    };
    let patched = |patches: fn() -> Vec<Patch>| {
        move |template: &Template, rule: &mut Rule| rule.replies = [reply(template, &[1, 2, 3, 4], patches())].into()
    };
    let text = |parts: Vec<Part>| Expr { parts: parts.into(), bytes_max: 4 };
    let taken = "9: 0.0=1 0.";
    check(fixed, &|_, rule| rule.timeout = true, "");
    check(fixed, &|_, rule| rule.burst = 2, "");
    // Faults are drawn for a whole FSU: that is looked at for each request.
    check(fixed, &|_, rule| rule.faults = Some(Box::new(FaultSet::default())), taken);
    check(fixed, &|_, rule| rule.sets = [SetRegister { register: 0, value: text(vec![]) }].into(), taken);
    check(fixed, &|_, rule| rule.replies = [(); 3].map(|()| rule.replies[0].clone()).into(), "9: 0.0=3 0.");
    check(fixed, &patched(|| vec![Patch::CopyReversed { from: Offset(1), to: 4, len: 2 }]), taken);
    let form = Form::Bcd;
    check(fixed, &patched(move || vec![Patch::Number { number: Number::Seq, to: 3, len: 2, form: Form::Bcd }]), taken);
    // Two patches of one byte, and one of the checksum.
    let hour = |to| Patch::Number { number: Number::Hour, to, len: 2, form };
    check(fixed, &|template, rule| rule.replies = [reply(template, &[0; 4], vec![hour(3), hour(4)])].into(), "");
    check(fixed, &|template, rule| rule.replies = [reply(template, &[0; 4], vec![hour(6)])].into(), "");
    // Text of the request, also where it travels as digits.
    let slot = Slot { kind: Kind::Hex, len: 2, little: false, right: false, padding: 0 };
    let value = text(vec![Part::Field { at: Offset(1), slot: slot.clone() }]);
    let quoted = |template: &Template, rule: &mut Rule| {
        rule.replies =
            [reply(template, &[0; 4], vec![Patch::Text { value: value.clone(), to: 5, slot: slot.clone() }])].into();
    };
    check(over_wire, &quoted, "12: 0.0=1 0.");
    check(
        fixed,
        &|template, rule| {
            let payload = Payload::Static(Arc::default());
            let own = Arc::into_inner(reply(template, &[0; 4], vec![])).expect("one owner");
            rule.replies = [Arc::new(Reply { payload, ..own })].into();
        },
        "",
    );
}

/// Fields of variable size, and rules that need more than the windows of one reply, are left to the general code.
#[test]
fn walked_layouts_have_no_profile() {
    let walks = |request: bool, reply: bool| {
        let walk = |is_there: bool| is_there.then(Arc::<Walk>::default);
        Some(Box::new(Walks { request: walk(request), reply: walk(reply), constants: Box::default() }))
    };
    let of_command = |walk: Option<Box<Walks>>, expected: &str| {
        let mut template = fixed();
        template.commands[0].walk = walk;
        assert_eq!(told(&with(template, |_| ())), expected);
    };
    of_command(None, "9: 0.0=1 0.");
    of_command(walks(true, false), "");
    of_command(walks(false, true), "");
    of_command(walks(true, true), "");
    let of_rule = |change: &dyn Fn(&mut Rule)| assert_eq!(told(&with(fixed(), |rule| change(rule))), "");
    of_rule(&|rule| rule.frames = [crate::model::rule::FrameOf { layout: 0, command: Some(0) }].into());
    of_rule(&|rule| rule.gaps_ms = [5].into());
    let path = Path { node: 0, items: [0; NEST_MAX] };
    of_rule(&|rule| {
        let (name, bytes, mask) = ("x".into(), [1].into(), Box::default());
        rule.walked = [WalkedConstant { name, path, bytes, mask }].into();
        rule.asks_more = true;
    });
    of_rule(&|rule| {
        let own = Arc::into_inner(reply(&fixed(), &[0; 4], vec![])).expect("one owner");
        rule.replies = [Arc::new(Reply { payload: Payload::Raw, ..own })].into();
    });
}

/// Constants of `when` are windows, also of digits; parts of a digit are not.
#[test]
fn when_a_rule_has_a_profile() {
    let check = |template: Template, (at, byte, mask): (i32, u8, u8), expected: &str| {
        let constant = Constant { name: "x".into(), at: Offset(at), bytes: [byte].into(), mask: [mask].into() };
        assert_eq!(told(&with(template, |rule| rule.when = [constant].into())), expected, "{at} {byte:02X} {mask:02X}");
    };
    check(fixed(), (1, 0x05, 0x0F), "9: 0.0=1 0.");
    check(over_wire(), (1, 0x05, 0xFF), "12: 0.0=1 0.");
    check(over_wire(), (1, 0x05, 0x0F), "12: 0.0=1 0.");
    check(over_wire(), (1, 0x05, 0x03), "");
    // Past the frame: no request has it, and none is answered.
    check(fixed(), (9, 0x05, 0xFF), "");
    check(fixed(), (-10, 0x05, 0xFF), "");
}

/// A reply whose header is a refusal has no data; where that is known before, the profile has none either.
#[test]
fn refusals_that_are_known() {
    let check = |at: usize, patches: Vec<Patch>, expected: Option<usize>| {
        let template = length();
        let own = Arc::into_inner(reply(&template, &[1, 2, 3], patches)).expect("one owner");
        let refusal = Refusal { at, len: 1, ok: Arc::from([Box::from([0])]), padding: 0 };
        let device = with(template, |rule| rule.replies = [Arc::new(Reply { refusal: Some(refusal), ..own })].into());
        let profiles = profiles(&device);
        let answer = profiles.list.first().and_then(|profile| groups(profile).next()?.rows[0].answers.first());
        assert_eq!(answer.map(|answer| usize::from(answer.data_len)), expected);
    };
    let copy = |to| Patch::Copy { from: Offset(1), to, len: 1 };
    let seq = |to| Patch::Number { number: Number::Seq, to, len: 1, form: Form::Big };
    // The address is 00: no refusal. The length is not: one.
    check(1, vec![], Some(9));
    check(3, vec![], Some(6));
    check(3, vec![copy(5), copy(1)], Some(6));
    check(3, vec![seq(5)], None);
    check(1, vec![copy(1)], None);
}

#[test]
fn places_become_windows() {
    assert_eq!(masks([]), []);
    assert_eq!(masks([3, 4, 10]), [(3, 0xFF00_0000_0000_FFFF)]);
    assert_eq!(masks([3, 11]), [(3, 0xFF), (11, 0xFF)]);
    let mut bytes = Bytes::default();
    let template = over_wire();
    let layout = Layout::new(&template, 7).expect("short");
    bytes.put_bytes(&layout, 0, &[0x7E, 0x1A]);
    bytes.put(60, 0x0F, 0x05);
    let told = |windows: Vec<Window>| -> Vec<_> {
        windows.iter().map(|window| (window.at, window.mask, window.value)).collect()
    };
    assert_eq!(told(bytes.all_windows()), [(38, 0xFF_FFFF, 0x41_317E), (60, 0x0F, 0x05)]);
    assert_eq!(told(bytes.windows()), [(60, 0x0F, 0x05)]);
    let known = bytes.known(37);
    assert_eq!((known.value, known.mask), (block(b"\0~1A"), block(&[0, 0xFF, 0xFF, 0xFF])));
    assert_eq!([layout.span(0, 1), layout.span(1, 2), layout.span(0, 2)], [Some(38..39), Some(39..43), None]);
    assert_eq!([layout.span(6, 1), layout.span(5, 2), layout.span(7, 1)], [Some(49..50), None, None]);
}

/// What a reply has before anything is written: the outer frame, without P_src_addr, P_verify and the checksum.
#[test]
fn frames_are_built_before() {
    let device = with(fixed(), |_| ());
    let profiles = profiles(&device);
    let answer = &groups(&profiles.list[0]).next().expect("one").rows[0].answers[0];
    let bytes = &answer.front.as_flattened()[..=usize::from(answer.last)];
    let mut inner = frame(&device.template, 0, 0, &[]);
    inner[7] = 0;
    let expected = format!("FF{}01010E00000100{}0900{}00FE", "00".repeat(28), "", hex::encode_upper(inner));
    assert_eq!(hex::encode_upper(bytes), expected);
    let copied = answer.copied;
    assert_eq!((copied.from, copied.to, copied.mask), (39, 39, block(&[0xFF, 0xFF])));
    assert_eq!((answer.copies.len(), answer.behind.len()), (0, 0));
}

/// What the budget has no room for is not made, and nothing else changes.
#[test]
fn profiles_are_made_while_there_is_room() {
    let needed = bytes(&profiles(&device(fixed(), 1, 1, false)));
    let check = |left: usize, expected: usize, taken: usize| {
        let fleet = fleet(vec![fsu(vec![device(fixed(), 1, 1, false)])]);
        let budget = Budget::default();
        budget.set_max(PLAN_BYTES_LEAST);
        budget.charge(PLAN_BYTES_LEAST as usize - left).expect("room");
        attach(&fleet, &budget);
        let made = fleet.fsus[0].devices[0].profiles.get().map(|profiles| profiles.list.len());
        assert_eq!((made, budget.used() as usize), (Some(expected), PLAN_BYTES_LEAST as usize - left + taken));
    };
    check(0, 0, 0);
    check(needed - 1, 0, 0);
    check(100_000, 1, needed);
}
