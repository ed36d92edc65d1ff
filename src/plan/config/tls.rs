//! `tls` of an FSU, and of its `connect` (spec conversation.md, TLS). The files are read as they are: what is in them is looked at by the
//! program that serves ([`crate::model::tls`]).

use super::at::{At, Pos};
use super::load::Loader;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// `tls` of an FSU: its connections are TLS.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawTls {
    /// The certificate of this FSU, and those that lead to its CA, as PEM: a file, relative to this one.
    pub cert: Option<At<String>>,
    /// The private key of the certificate, as PEM.
    pub key: Option<At<String>>,
    /// Certificates of the CAs of centres, as PEM: a centre must show a certificate of one. Default: none is asked for.
    pub client_ca: Option<At<String>>,
}

/// `tls` of `connect`: the FSU opens TLS connections.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawConnectTls {
    /// Certificates of the CA of the centre, as PEM: a file, relative to this one. Default: the CAs that the system trusts.
    pub ca: Option<At<String>>,
    /// The name that the certificate of the centre must have, and that the FSU asks for (SNI). Default: the IP address of `to`.
    pub server_name: Option<At<String>>,
    /// The certificate of this FSU, where the centre asks for one, as PEM.
    pub cert: Option<At<String>>,
    /// The private key of `cert`, as PEM.
    pub key: Option<At<String>>,
}

/// The bytes of a file that the configuration names, and what is shown for it. `None`: it cannot be read, which was reported at that
/// place.
pub(crate) fn file(loader: &mut Loader, base_file: &Path, named: (&str, Pos)) -> Option<(Arc<[u8]>, Box<str>)> {
    let (name, pos) = named;
    if name.trim().is_empty() {
        loader.diags.error(pos, "an empty path");
        return None;
    }
    let path = loader.join(base_file, name);
    let bytes = loader.bytes(&path, pos)?;
    Some((bytes, loader.source.show(&path).into()))
}
