//! `data_file` and `data_bytes` of rules: read or made once, shared by all rules that name the same.

use crate::config::at::{At, Pos};
use crate::config::load::Loader;
use crate::config::raw::RawRules;
use crate::config::source::ReadError;
use crate::model::template::Template;
use crate::model::transfer::PAYLOADS_BYTES_MAX;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Characters of a `.hex` file for each byte of data, comments included; bounds what is read.
const HEX_CHARS_PER_BYTE: usize = 16;

/// All payloads of a configuration, by what they are made of.
#[derive(Debug, Default)]
pub struct Payloads {
    files: HashMap<PathBuf, Option<Arc<[u8]>>>,
    generated: HashMap<(usize, u64), Arc<[u8]>>,
    bytes: usize,
}

/// The payloads of some rule files, by the place of the key that names them.
pub type ByPlace = HashMap<Pos, Arc<[u8]>>;

impl Payloads {
    /// Reads or generates the data that these rule files name; reports failures.
    pub fn of(&mut self, loader: &mut Loader, template: &Template, files: &[(PathBuf, At<RawRules>)]) -> ByPlace {
        let mut found = ByPlace::new();
        for (path, file) in files {
            for rule in file.value.0.0.iter().flat_map(|(_, list)| &list.0) {
                let (file, made) = (rule.data_file.as_ref(), rule.data_bytes.as_ref());
                let Some(pos) = file.map(|at| at.pos).or(made.map(|at| at.pos)) else { continue };
                let Some(transfer) = &template.transfer else {
                    loader.diags.error(pos, "needs a template with a `transfer` section (broadcast)");
                    continue;
                };
                if let (Some(_), Some(made)) = (file, made) {
                    loader.diags.error(made.pos, "`data_file` and `data_bytes` are both given (one of them)");
                }
                let most = transfer.bytes_max;
                if let Some(name) = file {
                    found.extend(self.file(loader, path, name, most).map(|bytes| (pos, bytes)));
                } else if let Some(made) = made {
                    let Some(bytes) = &made.bytes else {
                        loader.diags.error(made.pos, "`bytes` is missing (how many)");
                        continue;
                    };
                    if bytes.value == 0 || bytes.value > most as u64 {
                        loader.diags.error(bytes.pos, format!("{} bytes (1 to {most})", bytes.value));
                        continue;
                    }
                    let seed = made.seed.as_ref().map_or(0, |seed| seed.value);
                    found.extend(self.made(loader, bytes.value as usize, seed, pos).map(|bytes| (pos, bytes)));
                }
            }
        }
        found
    }

    fn file(&mut self, loader: &mut Loader, rules: &Path, name: &At<String>, bytes_max: usize) -> Option<Arc<[u8]>> {
        let path = loader.join(rules, &name.value);
        if let Some(done) = self.files.get(&path) {
            return done.clone();
        }
        let is_hex = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("hex"));
        let most = if is_hex { bytes_max.saturating_mul(HEX_CHARS_PER_BYTE) } else { bytes_max };
        let shown = loader.source.show(&path);
        let read = loader.source.read_up_to(&path, most);
        let decoded = |bytes: Vec<u8>| if is_hex { Ok(from_hex(&bytes)?) } else { Ok(bytes) };
        let bytes = match read.map_err(DataError::Read).and_then(decoded) {
            Ok(bytes) => self.keep(loader, bytes, name.pos),
            Err(reason) => {
                loader.diags.error(name.pos, format!("{shown} cannot be read: {reason}"));
                None
            }
        };
        self.files.insert(path, bytes.clone());
        bytes
    }

    fn made(&mut self, loader: &mut Loader, len: usize, seed: u64, pos: Pos) -> Option<Arc<[u8]>> {
        if let Some(done) = self.generated.get(&(len, seed)) {
            return Some(done.clone());
        }
        if !loader.diags.has_memory(pos, 2 * len, "the data") {
            return None;
        }
        let bytes = self.keep(loader, generate(len, seed), pos)?;
        self.generated.insert((len, seed), bytes.clone());
        Some(bytes)
    }

    fn keep(&mut self, loader: &mut Loader, bytes: Vec<u8>, pos: Pos) -> Option<Arc<[u8]>> {
        self.bytes += bytes.len();
        if self.bytes > PAYLOADS_BYTES_MAX {
            let text = format!("all data of this configuration has more than {PAYLOADS_BYTES_MAX} bytes");
            loader.diags.error(pos, text);
            return None;
        }
        Some(bytes.into())
    }
}

/// Why a data file cannot be used.
#[derive(Debug, Error)]
enum DataError {
    #[error(transparent)]
    Read(ReadError),
    #[error(transparent)]
    Hex(#[from] HexError),
}

/// Why a `.hex` file is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum HexError {
    /// Lines count from 1.
    #[error("line {line}: {found:?} is no hex digit")]
    Digit { line: usize, found: char },
    #[error("an odd number of hex digits")]
    Odd,
}

/// Hex digits, two a byte, with white space anywhere and comments from `#` to the line's end.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, HexError> {
    let mut digits: Vec<u8> = Vec::with_capacity(text.len());
    for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
        let code = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let before = digits.len();
        digits.extend(code.iter().filter(|byte| !byte.is_ascii_whitespace()));
        if let Some(bad) = digits[before..].iter().find(|byte| !byte.is_ascii_hexdigit()) {
            return Err(HexError::Digit { line: number, found: char::from(*bad) });
        }
    }
    hex::decode(&digits).map_err(|_| HexError::Odd)
}

/// The first `len` bytes of SplitMix64 started at `seed`, its 64-bit numbers low byte first.
pub fn generate(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 7);
    while bytes.len() < len {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_files() {
        let check = |text: &str, expected: Result<&[u8], &str>| {
            let got = from_hex(text.as_bytes()).map_err(|wrong| wrong.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), expected, "{text:?}");
        };
        check("", Ok(&[]));
        check("01 aB\r\n# all of it\nF F # two\n", Ok(&[0x01, 0xAB, 0xFF]));
        check("01\n0x", Err("line 2: 'x' is no hex digit"));
        check("012", Err("an odd number of hex digits"));
    }

    /// The published first outputs of the generator.
    #[test]
    fn generated_bytes_are_those_of_splitmix64() {
        assert_eq!(hex::encode(generate(8, 0)), hex::encode(0xE220_A839_7B1D_CDAF_u64.to_le_bytes()));
        assert_eq!(
            hex::encode(&generate(16, 1_234_567)[..8]),
            hex::encode(6_457_827_717_110_365_317_u64.to_le_bytes())
        );
        assert_eq!(generate(3, 9), generate(11, 9)[..3]);
    }

    #[test]
    fn limit_payloads_bytes_max() {
        let mut loader = Loader::new(crate::config::source::Source::Directory);
        let mut payloads = Payloads { bytes: PAYLOADS_BYTES_MAX - 3, ..Payloads::default() };
        assert!(payloads.made(&mut loader, 3, 0, Pos::default()).is_some());
        // One that is there is shared.
        assert!(payloads.made(&mut loader, 3, 0, Pos::default()).is_some());
        assert!(payloads.made(&mut loader, 1, 0, Pos::default()).is_none());
        let told = "?: error: all data of this configuration has more than 1073741824 bytes";
        assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [told]);
    }
}
