//! What the text of a value is taken apart into, how long it may become, and what it takes in memory.

use super::super::expr::{ExprError, Scope, is_dynamic, memory, nearest, number_range, parse};
use crate::model::field::{Kind, Offset, Slot};
use crate::model::reply::{Expr, Number, Part, TimeItem};

/// A request with the fields `one` (1 byte, whole) and `raw` (2 bytes, hex), one register of at most 7 bytes, an id of 4 digits.
struct Some7;

fn slot(kind: Kind, len: usize) -> Slot {
    Slot { kind, len, little: false, right: true, padding: 0 }
}

impl Scope for Some7 {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        match name {
            "one" => Ok(Some((Offset(3), slot(Kind::Uint, 1)))),
            "raw" => Ok(Some((Offset(4), slot(Kind::Hex, 2)))),
            "other" => Ok(None),
            _ => Err(ExprError::UnknownField { name: name.into(), near: String::new() }),
        }
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        if name == "r" { Ok(9) } else { Err(ExprError::RegisterOfNoDevice(name.into())) }
    }

    fn register_bytes_max(&self, number: u32) -> usize {
        if number == 9 { 7 } else { 0 }
    }

    fn id_digits(&self) -> usize {
        4
    }
}

fn parsed(text: &str) -> Expr {
    parse(text, &Some7).expect(text)
}

/// The parts, as people would write them.
fn parts(text: &str) -> Vec<String> {
    let one = |part: &Part| match part {
        Part::Literal(text) => format!("'{text}'"),
        Part::Field { at, slot } => format!("field at {} of {}", at.0, slot.len),
        Part::Number { number, digits } => format!("{number:?} {digits}"),
        Part::Hex(number) => format!("hex {number:?}"),
        Part::Packed(number) => format!("packed {number:?}"),
        Part::Datetime(items) => format!("datetime of {}", items.len()),
        Part::FsuId => "id".into(),
        Part::Choice(choices) => choices.join("|"),
        Part::Register(number) => format!("register {number}"),
        Part::Walked(_) => "element".into(),
        Part::Calc(calc) => format!("expression {}", calc.source),
    };
    parsed(text).parts.iter().map(one).collect()
}

#[test]
fn texts_fields_and_functions_in_turn() {
    let check = |text: &str, expected: &[&str]| assert_eq!(parts(text), expected, "{text}");
    check("", &[]);
    check("a{b}$#", &["'a{b}$#'"]);
    check("x#{one}#y${hour()}$z", &["'x'", "field at 3 of 1", "'y'", "Hour 2", "'z'"]);
    check("#{ raw }##{one}#", &["field at 4 of 2", "field at 3 of 1"]);
    // Another entry of the same key has it: nothing here.
    check("a#{other}#b", &["'a'", "'b'"]);
    check("${hour}${minute}$.${second}", &["Hour 2", "Minute 2", "'.'", "Second 2"]);
    check("${ hour ( ) }x", &["Hour 2", "'x'"]);
    check("${hour()  }$x", &["Hour 2", "'x'"]);
    check("${year()}${year(yy)}${year(yyyy)}", &["Year2 2", "Year2 2", "Year4 4"]);
    check("${month}${day}${week}${week(1)}${week(0)}", &["Month 2", "Day 2", "Week1 2", "Week1 2", "Week0 2"]);
    check("${packed_date}${packed_time}${fsuid}${seq}", &["packed PackedDate", "packed PackedTime", "id", "Seq 1"]);
    check("${rand(-5,0x10)}", &["Rand(-5, 16) 1"]);
    check("${rand(3,3)}", &["Rand(3, 3) 1"]);
    check("${choice( a , b,'c, d' ,\"e\")}!", &["a|b|c, d|e", "'!'"]);
    check("${choice(a)b,c)}", &["a)b|c"]);
    check("${reg(r)}", &["register 9"]);
    check("${datetime(%Y-%m)}", &["datetime of 3"]);
}

#[test]
fn what_is_wrong_is_told() {
    let check = |text: &str, expected: &str| {
        assert_eq!(parse(text, &Some7).err().map(|error| error.to_string()).as_deref(), Some(expected), "{text}");
    };
    check("a#{one", "`#{one` is not closed (would be `#{field}#`)");
    check("#{two}#", "no field `two` in the request");
    check("${rand(2,1)}$", "rand() takes two whole numbers, the smaller first (rand(a,b)), found `2,1`");
    check("${rand(1,2,3)}$", "rand() takes two whole numbers, the smaller first (rand(a,b)), found `1,2,3`");
    check("${reg(x)}$", "register `x` cannot be read here");
    check("${week(2)}$", "week() takes nothing (Monday 01 to Sunday 07) or 0 (Sunday 00), found `2`");
    check("${month(1,2)}$", "month() takes nothing or MM, found `1,2`");
}

#[test]
fn a_value_is_looked_for_where_it_may_begin() {
    let check = |text: &str, expected: bool| assert_eq!(is_dynamic(text), expected, "{text}");
    check("#{a}#", true);
    check("a${b", true);
    check("{a}", false);
    check("# {a} $ {b}", false);
}

#[test]
fn the_longest_text_of_each_part() {
    let check = |text: &str, expected: usize| assert_eq!(parsed(text).bytes_max, expected, "{text}");
    check("", 0);
    check("abc", 3);
    check("海", 3);
    check("#{one}#", 3);
    check("#{raw}#", 4);
    check("${year}$", 2);
    check("${year(yyyy)}$", 4);
    check("${month}$${hour}$", 4);
    check("${seq}$", 10);
    check("${rand(0,5)}$", 1);
    check("${rand(-100,5)}$", 4);
    check("${rand(-1,100)}$", 3);
    check("${packed_date}$", 4);
    check("${datetime(%Y-%m-%d)}$", 10);
    check("${fsuid}$", 4);
    check("${choice(a,bcd,ef)}$", 3);
    check("${reg(r)}$", 7);
    check("x${reg(r)}$#{raw}#", 1 + 7 + 4);
}

#[test]
fn what_a_number_may_be() {
    let check = |number: Number, expected: Option<(i64, i64)>| assert_eq!(number_range(number), expected);
    check(Number::Year2, Some((0, 99)));
    check(Number::Year4, Some((1970, 9999)));
    check(Number::Month, Some((1, 12)));
    check(Number::Day, Some((1, 31)));
    check(Number::Week1, Some((1, 7)));
    check(Number::Week0, Some((0, 6)));
    check(Number::Hour, Some((0, 23)));
    check(Number::Minute, Some((0, 59)));
    check(Number::Second, Some((0, 59)));
    check(Number::PackedDate, Some((0, 65_535)));
    check(Number::PackedTime, Some((0, 65_535)));
    check(Number::Rand(-3, 4), Some((-3, 4)));
    check(Number::Seq, None);
}

#[test]
fn the_memory_of_parts() {
    let check = |text: &str, parts: usize, more: usize| {
        assert_eq!(memory(&parsed(text)), parts * size_of::<Part>() + more, "{text}");
    };
    check("", 0, 0);
    check("abc", 1, 3);
    check("a${hour}$bc", 3, 3);
    check("#{one}#${fsuid}$", 2, 0);
    // A choice is a text of its own; 16 bytes are what an allocation takes beside it.
    check("${choice(x,yz)}$", 1, 2 * (size_of::<Box<str>>() + 16) + 3);
    check("${datetime(%H%M)}$", 1, 2 * size_of::<TimeItem>());
}

#[test]
fn a_name_that_is_like_another() {
    let check = |name: &str, known: &[&str], expected: &str| {
        let expected = if expected.is_empty() { String::new() } else { format!(" (did you mean `{expected}`?)") };
        assert_eq!(nearest(name, known.iter().copied()), expected, "{name}");
    };
    check("hours", &["minute", "hour", "second"], "hour");
    check("HOUR", &["minute", "hour"], "hour");
    check("huor", &["hour"], "hour");
    check("x", &["hour"], "");
    check("x", &[], "");
    // One letter, and one more for each three of the known name.
    check("abcxyz", &["abcdef"], "abcdef");
    check("abwxyz", &["abcdef"], "");
    check("abcd", &["ab"], "");
    check("abc", &["ab"], "ab");
    check("a", &["abc"], "abc");
    check("a", &["abcd"], "");
    // The nearest; of equally near ones the first.
    check("test", &["tast_", "tent", "text"], "tent");
    let long = "n".repeat(100);
    check(&long, &[&long], &long);
    let longer = "n".repeat(101);
    check(&longer, &[&longer], "");
}
