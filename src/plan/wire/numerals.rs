//! Numbers written in characters: `dec` and `hexdigits` (spec shapes.md, Numbers and text on the wire).

use super::inner::hex_pair;
use super::value::Misfit;

/// Writes decimal digits, with leading zeros up to the size of the field. Leading zeros that do not fit are left out.
pub fn encode_dec(text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let text = text.trim_ascii();
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Misfit::Digit);
    }
    right(text, out)
}

/// Writes the low decimal digits of a number, with leading zeros.
pub fn write_dec(mut number: u64, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Writes the low hex digits of a number, with leading zeros. `low`: the pairs in the other order.
pub fn write_hex(mut number: u64, low: bool, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = hex_pair(number as u8)[1];
        number >>= 4;
    }
    if low {
        swap_pairs(out);
    }
}

/// The pairs of characters in the other order.
fn swap_pairs(digits: &mut [u8]) {
    digits.reverse();
    digits.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
}

/// Writes hex digits in upper case, with leading zeros up to the size of the field. `low`: the pairs in the other order.
pub fn encode_hex(text: &[u8], low: bool, out: &mut [u8]) -> Result<(), Misfit> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    if !text.iter().all(u8::is_ascii_hexdigit) {
        return Err(Misfit::Digit);
    }
    right(text, out)?;
    out.make_ascii_uppercase();
    if low {
        swap_pairs(out);
    }
    Ok(())
}

fn right(digits: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let surplus = digits.len().saturating_sub(out.len());
    let (zeros, digits) = digits.split_at(surplus);
    if zeros.iter().any(|zero| *zero != b'0') {
        return Err(Misfit::TooLong);
    }
    let fill = out.len() - digits.len();
    out[..fill].fill(b'0');
    out[fill..].copy_from_slice(digits);
    Ok(())
}

/// Appends decimal digits as they are. Bytes that are none have no value: nothing is appended.
pub fn decode_dec(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(bytes);
    }
}

/// Appends hex digits in upper case, the high ones first. Bytes that are none have no value: nothing is appended.
pub fn decode_hex(bytes: &[u8], low: bool, out: &mut Vec<u8>) {
    if !bytes.iter().all(u8::is_ascii_hexdigit) {
        return;
    }
    let from = out.len();
    out.extend_from_slice(bytes);
    let digits = &mut out[from..];
    digits.make_ascii_uppercase();
    if low {
        swap_pairs(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str, expected: Result<&str, Misfit>) {
        let mut out = [0xA5; 4];
        let got = encode_dec(text.as_bytes(), &mut out).map(|()| String::from_utf8_lossy(&out).into_owned());
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
    }

    fn hex(text: &str, low: bool, expected: Result<&str, Misfit>) {
        let mut out = [0xA5; 4];
        let got = encode_hex(text.as_bytes(), low, &mut out).map(|()| String::from_utf8_lossy(&out).into_owned());
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
        if got.is_ok() {
            let mut back = Vec::new();
            decode_hex(&out, low, &mut back);
            let mut again = [0; 4];
            assert_eq!((encode_hex(&back, low, &mut again), again), (Ok(()), out));
        }
    }

    #[test]
    fn digits_and_their_zeros() {
        dec("12", Ok("0012"));
        dec(" 1234 ", Ok("1234"));
        dec("", Ok("0000"));
        dec("00012", Ok("0012"));
        dec("12345", Err(Misfit::TooLong));
        dec("-1", Err(Misfit::Digit));
        dec("1.5", Err(Misfit::Digit));
        dec("0x1", Err(Misfit::Digit));
        hex("1f", false, Ok("001F"));
        hex("0x1F", false, Ok("001F"));
        hex("0001F", false, Ok("001F"));
        hex("1234F", false, Err(Misfit::TooLong));
        hex("1G", false, Err(Misfit::Digit));
        hex("12ab", true, Ok("AB12"));
        hex("1", true, Ok("0100"));
    }

    #[test]
    fn numbers_keep_their_low_digits() {
        let of = |write: &dyn Fn(&mut [u8])| {
            let mut out = [0xA5; 4];
            write(&mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!((of(&|out| write_dec(12, out)), of(&|out| write_dec(123_456, out))), ("0012".into(), "3456".into()));
        assert_eq!(
            (of(&|out| write_hex(0x1F, false, out)), of(&|out| write_hex(0x1_2345, true, out))),
            ("001F".into(), "4523".into())
        );
    }

    #[test]
    fn bytes_that_are_no_digits_have_no_value() {
        let dec = |bytes: &[u8]| {
            let mut out = Vec::new();
            decode_dec(bytes, &mut out);
            String::from_utf8(out).unwrap()
        };
        let hex = |bytes: &[u8]| {
            let mut out = Vec::new();
            decode_hex(bytes, false, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!((dec(b"0012"), dec(b" 12"), dec(b"1A")), ("0012".into(), String::new(), String::new()));
        assert_eq!((hex(b"00ff"), hex(b"0x1"), hex(b"\xFF1")), ("00FF".into(), String::new(), String::new()));
    }
}
