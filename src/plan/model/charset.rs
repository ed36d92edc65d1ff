//! Character sets: the labels of the WHATWG encoding standard.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// A character set other than UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(pub(crate) &'static Encoding);

/// A label names no character set that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no character set has this label")]
pub struct NoCharset;

impl Charset {
    /// The character set of a label; `None`: UTF-8.
    pub fn new(label: &str) -> Result<Option<Self>, NoCharset> {
        let found = Encoding::for_label_no_replacement(label.trim().as_bytes()).ok_or(NoCharset)?;
        Ok((found != UTF_8).then_some(Self(found)))
    }

    /// Its name, in lower case.
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }

    /// Bytes of a unit: a field never ends within one.
    pub fn unit(self) -> usize {
        if self.is_utf16() { 2 } else { 1 }
    }

    /// Is it one of two bytes a unit?
    pub fn is_utf16(self) -> bool {
        self.0 == UTF_16LE || self.0 == UTF_16BE
    }

    /// The most bytes that a text of this many bytes has in UTF-8.
    pub fn bytes_max(self, utf8: usize) -> usize {
        let most = match self.name().as_str() {
            "utf-16le" | "utf-16be" | "gb18030" => 2,
            "iso-2022-jp" => 5,
            _ => 1,
        };
        utf8.saturating_mul(most)
    }
}
