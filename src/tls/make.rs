//! The files of `tls` to what serves with them.

use crate::dates;
use crate::pem;
use crate::trust::Trust;
use fsu_plan::model::tls::{Files, Found, Made};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, Error, InconsistentKeys, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What accepts TLS connections.
#[derive(Clone, Debug)]
pub struct Server(pub(crate) Arc<ServerConfig>);

/// What opens them.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

/// Where systems keep the certificates of the CAs that they trust.
const SYSTEM_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is wrong with the files, found so far.
#[derive(Default)]
struct Problems(Vec<Found>);

impl Problems {
    fn error(&mut self, key: &'static str, text: String) {
        self.0.push(Found { key, is_warning: false, text });
    }

    fn warn(&mut self, key: &'static str, text: String) {
        self.0.push(Found { key, is_warning: true, text });
    }

    /// The value, or its error at a key.
    fn take<T>(&mut self, key: &'static str, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.error(key, text)).ok()
    }
}

/// Makes a [`Server`] or a [`Client`] of the files of `tls` (`fsu_plan::model::tls::Make`).
pub fn make(files: &Files<'_>) -> (Option<Made>, Vec<Found>) {
    let mut problems = Problems::default();
    let made = if files.dials {
        client(files, false, &mut problems).map(|client| Arc::new(client) as Made)
    } else {
        server(files, &mut problems).map(|server| Arc::new(server) as Made)
    };
    (made, problems.0)
}

/// A [`Client`] for tools. `any_name`: a certificate that is in `ca` itself is accepted whatever its name.
///
/// # Errors
/// The first thing that is wrong, with the key of its file.
pub fn tool_client(files: &Files<'_>, any_name: bool) -> Result<Client, Found> {
    let mut problems = Problems::default();
    let made = client(files, any_name, &mut problems);
    made.ok_or_else(|| first(problems))
}

/// A [`Server`] for tools.
///
/// # Errors
/// The first thing that is wrong, with the key of its file.
pub fn tool_server(files: &Files<'_>) -> Result<Server, Found> {
    let mut problems = Problems::default();
    let made = server(files, &mut problems);
    made.ok_or_else(|| first(problems))
}

fn first(problems: Problems) -> Found {
    let found = problems.0.into_iter().find(|found| !found.is_warning);
    found.unwrap_or(Found { key: "", is_warning: false, text: "no TLS".into() })
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The files are wrong, which was noted.
struct Noted;

/// The certificate of this side and its key, where it has one.
fn identity(files: &Files<'_>, problems: &mut Problems) -> Result<Option<Identity>, Noted> {
    let (Some(cert), Some(key)) = (files.cert, files.key) else { return Ok(None) };
    let chain = problems.take("cert", pem::certificates(cert));
    let key = problems.take("key", pem::private_key(key));
    if let Some(complaint) = chain.as_ref().and_then(|chain| dates::complaint(chain.first()?, now_s())) {
        problems.warn("cert", format!("the certificate {complaint}: a peer that checks it refuses it"));
    }
    Ok(Some((chain.ok_or(Noted)?, key.ok_or(Noted)?)))
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Why a certificate and its key cannot be used, and which of them it is.
fn unfit(error: &Error) -> (&'static str, String) {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            ("key", "the private key does not belong to the certificate of `cert`".into())
        }
        Error::InvalidCertificate(_) => ("cert", format!("a certificate that cannot be used: {error}")),
        _ => ("key", format!("a private key that cannot be used: {error}")),
    }
}

fn server(files: &Files<'_>, problems: &mut Problems) -> Option<Server> {
    let provider = provider();
    let identity = identity(files, problems);
    let trust = match files.ca {
        None => Some(None),
        Some(ca) => {
            let trusted = pem::certificates(ca).and_then(|named| Trust::of_clients(&provider, named));
            problems.take("ca", trusted).map(Some)
        }
    };
    let (identity, trust) = (identity.ok()?, trust?);
    let Some((chain, key)) = identity else {
        problems.error("cert", "no certificate".into());
        return None;
    };
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = problems.take("", builder.map_err(|error| error.to_string()))?;
    let builder = match trust {
        Some(trust) => builder.with_client_cert_verifier(Arc::new(trust)),
        None => builder.with_no_client_auth(),
    };
    match builder.with_single_cert(chain, key) {
        Ok(config) => Some(Server(Arc::new(config))),
        Err(error) => {
            let (key, text) = unfit(&error);
            problems.error(key, text);
            None
        }
    }
}

fn client(files: &Files<'_>, any_name: bool, problems: &mut Problems) -> Option<Client> {
    let provider = provider();
    let identity = identity(files, problems);
    let name = ServerName::try_from(files.name).map(|name| name.to_owned()).map_err(|_| {
        format!("`{:.80}` is no name that a certificate can have (a host's name, or an IP address)", files.name)
    });
    let name = problems.take("server_name", name);
    let named = files.ca.map_or_else(of_system, pem::certificates);
    let trust = named.and_then(|named| Trust::of_servers(&provider, named, any_name));
    let trust = problems.take("ca", trust);
    let (identity, name, trust) = (identity.ok()?, name?, trust?);
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = problems.take("", builder.map_err(|error| error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(trust));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => match builder.with_client_auth_cert(chain, key) {
            Ok(config) => config,
            Err(error) => {
                let (key, text) = unfit(&error);
                problems.error(key, text);
                return None;
            }
        },
    };
    Some(Client { config: Arc::new(config), name })
}

/// What the system trusts.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(file) = SYSTEM_FILES.into_iter().find(|file| Path::new(file).is_file()) else {
        return Err("this system has no file of trusted CAs: write `\"ca\": FILE`".into());
    };
    let bytes = std::fs::read(file).map_err(|error| format!("{file} cannot be read: {error}: write `\"ca\": FILE`"))?;
    pem::certificates(&bytes).map_err(|error| format!("{file}: {error}: write `\"ca\": FILE`"))
}
