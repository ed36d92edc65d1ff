//! Reads the bytes to explain: hex digits in any common spelling, or a record of the device log.

use fsu_core::dissect::outer::Way;
use std::io::{self, IsTerminal, Read};

/// Limit of the text read from stdin, in characters: far more than a datagram needs in any spelling.
pub(super) const INPUT_CHARS_MAX: usize = 1 << 20;

/// The label before the bytes in a device-log record.
const LOG_LABEL: &str = "HEX:";
/// What follows the bytes if the lines of a record were joined.
const LOG_NEXT: &str = "Parsed:";
/// Words that give the direction of the bytes: in a record's first line, and in a line of `ask`, `flood` or `explain`.
const LOG_WAYS: [(&str, Way); 2] = [("[RECV]", Way::Down), ("[SEND]", Way::Up)];
const LABELS: [(&str, Way); 5] =
    [("request", Way::Down), ("reply", Way::Up), ("answer", Way::Up), ("请求", Way::Down), ("应答", Way::Up)];

/// The bytes, and what the text around them says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// Who sent them, if the text says so.
    pub(super) way: Option<Way>,
    /// Number of records after the first one, which are ignored.
    pub(super) more: usize,
}

/// Why a text has no bytes to explain.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// Nothing was given.
    #[error("no hex digits (as arguments, or from stdin)")]
    Nothing,
    /// The text has no hex digits.
    #[error("no hex digits")]
    NoDigits,
    /// Standard input cannot be read.
    #[error("stdin cannot be read: {0}")]
    Stdin(#[from] io::Error),
    /// Standard input is too long.
    #[error("stdin has more than {INPUT_CHARS_MAX} characters")]
    TooLong,
    /// A character that is no hex digit.
    #[error("{place}: {word:.40}: {found:?} is no hex digit")]
    NoDigit {
        /// Its place.
        place: String,
        /// The word that it is in.
        word: String,
        /// The character.
        found: char,
    },
    /// Half a byte: an odd number of digits.
    #[error("{place}: {word:.40}: an odd number of hex digits ({digits})")]
    Odd {
        /// Its place.
        place: String,
        /// The word.
        word: String,
        /// Number of digits in the word.
        digits: usize,
    },
}

/// Reads the bytes from the arguments. Reads stdin if the only argument is `-`, or if there is none and stdin is not a terminal.
pub(super) fn read(words: &[String]) -> Result<Input, InputError> {
    match words {
        [] if io::stdin().is_terminal() => Err(InputError::Nothing),
        [] => parse(&from_stdin()?),
        [dash] if dash == "-" => parse(&from_stdin()?),
        words => parse(&words.join(" ")),
    }
}

fn from_stdin() -> Result<String, InputError> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(INPUT_CHARS_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > INPUT_CHARS_MAX {
        return Err(InputError::TooLong);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Parses the bytes in a text: the first device-log record in it, or else the digits of all its lines.
pub(super) fn parse(text: &str) -> Result<Input, InputError> {
    let mut input = Input::default();
    if let Some((before, rest)) = text.split_once(LOG_LABEL) {
        let ways = LOG_WAYS.iter().filter_map(|&(word, way)| Some((before.rfind(word)?, way)));
        input.way = ways.max_by_key(|&(at, _)| at).map(|(_, way)| way);
        input.more = rest.matches(LOG_LABEL).count();
        let line = rest.lines().next().unwrap_or_default();
        digits(text, line.split(LOG_NEXT).next().unwrap_or_default(), &mut input.bytes)?;
    } else {
        for line in text.lines().map(str::trim_start) {
            let label = LABELS.iter().find_map(|&(word, way)| Some((line.strip_prefix(word)?, way)));
            digits(text, label.map_or(line, |(rest, _)| rest), &mut input.bytes)?;
            input.way = input.way.or(label.map(|(_, way)| way));
        }
    }
    if input.bytes.is_empty() { Err(InputError::NoDigits) } else { Ok(input) }
}

/// Appends the bytes of a part of `text`: words of whole bytes, each optionally prefixed with `0x`.
fn digits(text: &str, part: &str, bytes: &mut Vec<u8>) -> Result<(), InputError> {
    let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-');
    for word in part.split(separates).filter(|word| !word.is_empty()) {
        let plain = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        if let Some((at, found)) = plain.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
            return Err(InputError::NoDigit { place: place(text, &plain[at..]), word: word.to_owned(), found });
        }
        let odd = |_| InputError::Odd { place: place(text, word), word: word.to_owned(), digits: plain.len() };
        bytes.extend(hex::decode(plain).map_err(odd)?);
    }
    Ok(())
}

/// The place where a part of a text begins.
fn place(text: &str, part: &str) -> String {
    let before = &text[..part.as_ptr() as usize - text.as_ptr() as usize];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[line_start..].chars().count() + 1;
    if text.trim_end().contains('\n') {
        format!("line {}, character {column}", before.matches('\n').count() + 1)
    } else {
        format!("character {column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n17_hex_in_any_spelling() {
        let check = |text: &str, expected: Result<&[u8], &str>| {
            let input = parse(text).map(|input| input.bytes).map_err(|wrong| wrong.to_string());
            assert_eq!(input.as_deref().map_err(String::as_str), expected, "{text:?}");
        };
        check("7e01 0x8B  10\n0d ", Ok(&[0x7E, 0x01, 0x8B, 0x10, 0x0D]));
        check("0x7E, 0X01,0x0D", Ok(&[0x7E, 0x01, 0x0D]));
        check("7e:01:0D", Ok(&[0x7E, 0x01, 0x0D]));
        check("7E-01-0D;", Ok(&[0x7E, 0x01, 0x0D]));
        check("7e0", Err("character 1: 7e0: an odd number of hex digits (3)"));
        check("7e zz", Err("character 4: zz: 'z' is no hex digit"));
        check("7e\n01 0x1g\n", Err("line 2, character 7: 0x1g: 'g' is no hex digit"));
        check("é1", Err("character 1: é1: 'é' is no hex digit"));
        check(" ", Err("no hex digits"));
    }

    #[test]
    fn n17_lines_of_logs_and_reports() {
        let check = |text: &str, way: Option<Way>, more: usize| {
            let bytes = vec![0xFF, 0x32, 0x30];
            assert_eq!(parse(text).expect("hex"), Input { bytes, way, more }, "{text:?}");
        };
        check("  HEX: FF 32 30", None, 0);
        check(
            "[t] [RECV] fsu[a:32] received from SC 127.0.0.1:1\n  HEX: FF 32 30\n  Parsed:\n    x: 0xFE\n",
            Some(Way::Down),
            0,
        );
        check("[t] [SEND] fsu[a:32] reply to SC\r\n  HEX: FF 32 30\r\n  Parsed:\r\n", Some(Way::Up), 0);
        check("[t] [RECV] a HEX: FF 32 30   Parsed:     P_header: 0xFF", Some(Way::Down), 0);
        check("[t] [RECV] a\n HEX: FF 32 30\n[t] [SEND] a\n HEX: FE 01\n", Some(Way::Down), 1);
        check("reply: FF3230", Some(Way::Up), 0);
        check("  request  FF 32 30\n", Some(Way::Down), 0);
        check("  answer   FF3230", Some(Way::Up), 0);
        check("  请求     FF3230", Some(Way::Down), 0);
        check("  应答     FF3230", Some(Way::Up), 0);
    }
}
