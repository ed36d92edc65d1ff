//! Where a control server listens, and who may use it.

use super::token::{Token, TokenError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr;

/// Where it listens if nothing else is said.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

/// `--control`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Nowhere.
    Off,
    /// Only there.
    At(SocketAddr),
}

/// What is neither an address with a port nor `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is ADDR:PORT, such as 127.0.0.1:9900 or [::1]:9900, or off")]
pub struct WhereError;

impl FromStr for Where {
    type Err = WhereError;

    fn from_str(text: &str) -> Result<Self, WhereError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port| SocketAddr::new(DEFAULT.ip(), port));
        local.or_else(|| text.parse().ok()).map(Self::At).ok_or(WhereError)
    }
}

/// The options of a control server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where; absent: [`DEFAULT`], or a free port there.
    pub at: Option<Where>,
    /// A file with the token that requests must have.
    pub token: Option<PathBuf>,
    /// It takes no changes.
    pub read_only: bool,
}

/// Why there is no control server.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Whoever reaches it could change the fleet.
    #[error("--control {0}: an address that others reach needs --control-token FILE")]
    NoToken(SocketAddr),
    /// The token.
    #[error("--control-token {}: {error}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TokenError,
    },
    /// Something goes with a control server, and there is none.
    #[error("{0} is for a control server, and --control is off")]
    Off(&'static str),
    /// The address cannot be had.
    #[error("--control {at}: {error}")]
    Bind {
        /// The address.
        at: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The thread cannot be made.
    #[error("the control server's thread: {0}")]
    Thread(#[source] io::Error),
}

impl ControlError {
    /// Whether the arguments are wrong, whatever the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoToken(_) | Self::Token { .. } | Self::Off(_))
    }
}

/// A control server that has its address.
#[derive(Debug)]
pub struct Bound {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) token: Option<Token>,
    pub(super) read_only: bool,
}

impl Bound {
    /// Takes the address; `None`: there is to be no control server.
    ///
    /// # Errors
    /// Options that do not go together, a token that cannot be read, an address that cannot be had.
    pub fn new(options: &Options) -> Result<Option<Self>, ControlError> {
        let (at, others) = match options.at {
            Some(Where::Off) if options.token.is_some() => return Err(ControlError::Off("--control-token")),
            Some(Where::Off) if options.read_only => return Err(ControlError::Off("--control-read-only")),
            Some(Where::Off) => return Ok(None),
            Some(Where::At(at)) => (at, None),
            None => (DEFAULT, Some(SocketAddr::new(DEFAULT.ip(), 0))),
        };
        let read =
            |path: &PathBuf| Token::read(path).map_err(|error| ControlError::Token { path: path.clone(), error });
        let token = options.token.as_ref().map(read).transpose()?;
        if token.is_none() && !at.ip().to_canonical().is_loopback() {
            return Err(ControlError::NoToken(at));
        }
        let bound = TcpListener::bind(at).or_else(|error| match others {
            Some(other) => TcpListener::bind(other),
            None => Err(error),
        });
        let bind = |error| ControlError::Bind { at, error };
        let listener = bound.map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Some(Self { listener, address, token, read_only: options.read_only }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_listens() {
        let check = |text: &str, expected: Option<&str>| {
            let got = text.parse::<Where>().ok().map(|at| match at {
                Where::Off => "off".to_owned(),
                Where::At(at) => at.to_string(),
            });
            assert_eq!(got.as_deref(), expected, "{text}");
        };
        check("off", Some("off"));
        check("127.0.0.1:9900", Some("127.0.0.1:9900"));
        check("localhost:0", Some("127.0.0.1:0"));
        check("[::1]:80", Some("[::1]:80"));
        check("127.0.0.1", None);
        check("example.org:80", None);
        check("", None);
        check("Off", None);
    }

    /// What the options are refused with; `None`: they are not.
    fn check(options: &Options, expected: Option<&str>) {
        let got = Bound::new(options).err().map(|error| (error.is_usage(), error.to_string()));
        assert_eq!(got.as_ref().map(|(_, text)| &text[..]), expected);
        assert!(got.is_none_or(|(is_usage, _)| is_usage));
    }

    #[test]
    fn others_need_a_token() {
        let at = |text: &str| Options { at: text.parse().ok(), ..Options::default() };
        check(&at("127.0.0.1:0"), None);
        check(&at("127.9.9.9:0"), None);
        let needs = "--control 0.0.0.0:0: an address that others reach needs --control-token FILE";
        check(&at("0.0.0.0:0"), Some(needs));
        check(&at("[::]:0"), Some("--control [::]:0: an address that others reach needs --control-token FILE"));
        let off = Options { read_only: true, ..at("off") };
        check(&off, Some("--control-read-only is for a control server, and --control is off"));
        let off = Options { token: Some("x".into()), ..at("off") };
        check(&off, Some("--control-token is for a control server, and --control is off"));
    }

    #[test]
    fn the_default_port_may_be_taken() {
        let (first, second) = (Bound::new(&Options::default()), Bound::new(&Options::default()));
        let address = |bound: &Result<Option<Bound>, ControlError>| {
            bound.as_ref().ok().and_then(Option::as_ref).map(Bound::address).expect("an address")
        };
        assert_ne!(address(&first), address(&second));
        let taken = Options { at: Some(Where::At(address(&first))), ..Options::default() };
        let error = Bound::new(&taken).expect_err("it is taken");
        assert!(!error.is_usage() && error.to_string().contains("Address already in use"), "{error}");
    }
}
