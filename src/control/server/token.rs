//! The token that proves that a request may be made.

use crate::limits::TOKEN_BYTES_MAX;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use subtle::ConstantTimeEq;

/// A token. It is never printed.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What is wrong with a file that should hold a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("a token has at most {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// It cannot be in a header.
    #[error("a token is one line of ASCII characters without spaces")]
    NotText,
}

impl Token {
    /// Reads it from a file, without the space around it.
    ///
    /// # Errors
    /// A file that holds none.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut bytes = Vec::new();
        // A line's end may follow.
        File::open(path)?.take(TOKEN_BYTES_MAX as u64 + 16).read_to_end(&mut bytes)?;
        Self::new(bytes.trim_ascii())
    }

    fn new(bytes: &[u8]) -> Result<Self, TokenError> {
        match bytes {
            [] => Err(TokenError::Empty),
            long if long.len() > TOKEN_BYTES_MAX => Err(TokenError::TooLong),
            text if text.iter().all(u8::is_ascii_graphic) => Ok(Self(text.into())),
            _ => Err(TokenError::NotText),
        }
    }

    /// Whether that `Authorization` header has it. It takes as long for a wrong one as for the right one of the same length.
    pub fn is_in(&self, header: &[u8]) -> bool {
        let scheme = header.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer "));
        scheme && header[7..].trim_ascii().ct_eq(&self.0).into()
    }

    /// As text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_the_token() {
        let token = Token::new(b"s3cret").expect("a token");
        for (header, expected) in [
            ("Bearer s3cret", true),
            ("bearer  s3cret", true),
            ("Bearer s3crex", false),
            ("Bearer s3cre", false),
            ("Bearer s3crett", false),
            ("Bearer ", false),
            ("Basic s3cret", false),
            ("s3cret", false),
            ("", false),
        ] {
            assert_eq!(token.is_in(header.as_bytes()), expected, "{header}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn limit_token_bytes_max() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let read = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).expect("written");
            Token::read(file.path()).map(|token| token.text().len()).map_err(|error| error.to_string())
        };
        assert_eq!(read(&[b'x'; 4_096]), Ok(4_096));
        assert_eq!(read(&[&[b'x'; 4_096][..], b"\r\n"].concat()), Ok(4_096));
        assert_eq!(read(&[b'x'; 4_097]), Err("a token has at most 4096 bytes".to_owned()));
        assert_eq!(read(b" \n"), Err("it is empty".to_owned()));
        assert_eq!(read(b"a b"), Err("a token is one line of ASCII characters without spaces".to_owned()));
    }
}
