//! TLS of an FSU's connections. What the files mean is made by the program that serves; the plan only carries it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// The contents of the files that `tls` names, and the name that goes with them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// The FSU opens the connections.
    pub dials: bool,
    /// Its own certificate.
    pub cert: Option<&'a [u8]>,
    /// The private key of that.
    pub key: Option<&'a [u8]>,
    /// What the certificate of the other side is checked against: `ca`, `client_ca`.
    pub ca: Option<&'a [u8]>,
    /// The name that the certificate of the other side must have.
    pub name: &'a str,
}

/// Something that is wrong with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The key that names the file.
    pub key: &'static str,
    /// It is served nevertheless.
    pub is_warning: bool,
    /// What.
    pub text: String,
}

/// What serves connections with these files: of a type that the plan does not know.
pub type Made = Arc<dyn Any + Send + Sync>;

/// Makes that; `None` where something is wrong.
pub type Make = fn(&Files<'_>) -> (Option<Made>, Vec<Found>);

/// `tls` of an FSU, or of its `connect`; one for all that name the same files.
pub struct Tls {
    /// The file of its own certificate, as it is shown.
    pub cert: Option<Box<str>>,
    /// What is in that file.
    pub chain: Arc<[u8]>,
    /// The file that the other side's certificate is checked against. `None`: the system's for one that dials, nothing for one that listens.
    pub ca: Option<Box<str>>,
    /// The name that the certificate of the other side must have; empty for one that listens.
    pub name: Box<str>,
    /// What serves it.
    pub made: Made,
}

impl Tls {
    /// What serves it, for the program that made it.
    pub fn made<T: 'static>(&self) -> Option<&T> {
        self.made.downcast_ref()
    }
}

/// Two are equal if they are one.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?}, {:?}, {:?})", self.cert, self.ca, self.name)
    }
}
