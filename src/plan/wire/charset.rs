//! Text in other character sets, to bytes and back. Nothing is allocated.

use super::value::Misfit;
use crate::model::charset::Charset;
use encoding_rs::{CoderResult, EncoderResult, UTF_16LE};

impl Charset {
    /// Hands on the bytes of a text, piece by piece, until `take` refuses one.
    fn each_piece(self, text: &[u8], mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Misfit> {
        let mut rest = std::str::from_utf8(text).map_err(|_| Misfit::Character)?;
        let mut taken = |bytes: &[u8]| if take(bytes) { Ok(()) } else { Err(Misfit::TooLong) };
        if self.is_utf16() {
            let order = if self.0 == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
            return rest.encode_utf16().try_for_each(|unit| taken(&order(unit)));
        }
        let mut encoder = self.0.new_encoder();
        let mut piece = [0; 64];
        loop {
            let (result, read, written) = encoder.encode_from_utf8_without_replacement(rest, &mut piece, true);
            taken(piece.get(..written).unwrap_or_default())?;
            rest = rest.get(read..).unwrap_or_default();
            match result {
                EncoderResult::InputEmpty => return Ok(()),
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => return Err(Misfit::Character),
            }
        }
    }

    /// Writes a text to the beginning of `out`; gives how many bytes it has.
    pub fn encode(self, text: &[u8], out: &mut [u8]) -> Result<usize, Misfit> {
        let mut at = 0;
        self.each_piece(text, |piece| {
            let place = out.get_mut(at..at + piece.len());
            at += piece.len();
            place.is_some_and(|place| {
                place.copy_from_slice(piece);
                true
            })
        })?;
        Ok(at)
    }

    /// Appends a text of at most `most` bytes. After an error nothing is appended.
    pub fn append(self, text: &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let from = out.len();
        let result = self.each_piece(text, |piece| {
            let fits = out.len() - from + piece.len() <= most;
            if fits {
                out.extend_from_slice(piece);
            }
            fits
        });
        result.inspect_err(|_| out.truncate(from))
    }

    /// Appends bytes as UTF-8. What is no character becomes U+FFFD.
    pub fn decode_into(self, mut bytes: &[u8], out: &mut Vec<u8>) {
        let mut decoder = self.0.new_decoder_without_bom_handling();
        let mut piece = [0; 128];
        loop {
            let (result, read, written, _) = decoder.decode_to_utf8(bytes, &mut piece, true);
            out.extend_from_slice(piece.get(..written).unwrap_or_default());
            bytes = bytes.get(read..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::charset::NoCharset;

    /// A text and its bytes, and back.
    fn check(label: &str, text: &str, expected: &str) {
        let charset = Charset::new(label).unwrap().unwrap();
        let mut out = [0xA5; 256];
        let len = charset.encode(text.as_bytes(), &mut out).unwrap();
        assert_eq!(hex::encode_upper(&out[..len]), expected, "{text} in {label}");
        assert!(len <= charset.bytes_max(text.len()), "{label}");
        let (mut appended, mut back) = (Vec::new(), Vec::new());
        charset.append(text.as_bytes(), len, &mut appended).unwrap();
        assert_eq!(appended, out[..len]);
        charset.decode_into(&appended, &mut back);
        assert_eq!(String::from_utf8(back).unwrap(), text);
        if len > 0 {
            assert_eq!(charset.encode(text.as_bytes(), &mut out[..len - 1]), Err(Misfit::TooLong));
            assert_eq!(charset.append(text.as_bytes(), len - 1, &mut appended), Err(Misfit::TooLong));
            assert_eq!(appended.len(), len);
        }
    }

    #[test]
    fn texts_in_their_character_sets() {
        check("gbk", "", "");
        check("gbk", "京A1", "BEA94131");
        check("GB2312", "温度", "CEC2B6C8");
        check("gb18030", "京\u{1F600}", "BEA99439FC36");
        check("big5", "溫度", "B7C5ABD7");
        check("shift_jis", "温度", "89B79378");
        check("euc-kr", "온도", "BFC2B5B5");
        check("iso-8859-1", "°C", "B043");
        check("windows-1251", "Привет", "CFF0E8E2E5F2");
        check("utf-16le", "A京", "4100AC4E");
        check("utf-16be", "A\u{1F600}", "0041D83DDE00");
        check("iso-2022-jp", "a温", "611B2442322F291B2842".replace("322F29", "3239").as_str());
        // Longer than a piece.
        check("gbk", &"温".repeat(100), &"CEC2".repeat(100));
    }

    #[test]
    fn what_a_character_set_lacks() {
        let of = |label: &str| Charset::new(label).unwrap().unwrap();
        assert_eq!(of("gbk").encode("\u{1F600}".as_bytes(), &mut [0; 9]), Err(Misfit::Character));
        assert_eq!(of("iso-8859-1").encode("温".as_bytes(), &mut [0; 9]), Err(Misfit::Character));
        assert_eq!(of("gbk").encode(b"\xFF", &mut [0; 9]), Err(Misfit::Character));
        assert_eq!((Charset::new("utf-8"), Charset::new("utf8")), (Ok(None), Ok(None)));
        assert_eq!((Charset::new("klingon"), Charset::new("replacement")), (Err(NoCharset), Err(NoCharset)));
        let read = |label: &str, bytes: &[u8]| {
            let mut out = Vec::new();
            of(label).decode_into(bytes, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            (read("gbk", b"A\xFF\xFFB"), read("utf-16le", b"A")),
            ("A\u{FFFD}\u{FFFD}B".into(), "\u{FFFD}".into())
        );
    }
}
