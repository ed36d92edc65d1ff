//! What `flood` and `ask` can be told about TLS.

use super::exit::{CliError, Exit};
use clap::{Args, ValueHint};
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::tls::{Files, Found};
use fsu_tls::make::{tool_client, tool_server};
use fsu_tls::{Client, Server};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Options of connections to FSUs that listen with TLS.
#[derive(Debug, Default, Args)]
pub struct TlsArgs {
    /// TLS: certificates of the CAs of FSUs, as PEM [default: the certificate of each FSU, which the configuration names]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_ca: Option<PathBuf>,
    /// TLS: the name that the certificate of an FSU must have [default: with --tls-ca its address, else any]
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// TLS: the certificate of this side, as PEM; its key is --tls-key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// TLS: the private key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Bytes of the file of an option.
fn bytes(name: &str, path: Option<&Path>) -> Result<Option<Vec<u8>>, CliError> {
    let Some(path) = path else { return Ok(None) };
    let read = Source::Directory.read(path);
    read.map(Some).map_err(|error| usage(format!("--{name}: {} cannot be read: {error}", path.display())))
}

fn usage(text: String) -> CliError {
    CliError::new(Exit::Usage, text)
}

impl TlsArgs {
    /// Whether any of them is given.
    pub fn is_given(&self) -> bool {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        self.tls_server_name.is_some() || files.iter().any(|file| file.is_some())
    }

    /// How an FSU at that address is reached: `None`: without TLS.
    ///
    /// # Errors
    /// A file or a name that is wrong, and a certificate that is needed.
    pub fn client(&self, fsu: &Fsu, ip: IpAddr) -> Result<Option<Client>, CliError> {
        let Some(tls) = &fsu.tls else { return Ok(None) };
        let asked_for = self.tls_cert.is_none().then_some(tls.ca.as_ref()).flatten();
        if let Some(ca) = asked_for {
            return Err(usage(format!(
                "{} asks for a certificate of {ca} (`client_ca`): give --tls-cert and --tls-key",
                fsu.name
            )));
        }
        let (ca, cert, key) = (
            bytes("tls-ca", self.tls_ca.as_deref())?,
            bytes("tls-cert", self.tls_cert.as_deref())?,
            bytes("tls-key", self.tls_key.as_deref())?,
        );
        let name = self.tls_server_name.clone().unwrap_or_else(|| ip.to_string());
        let any_name = self.tls_ca.is_none() && self.tls_server_name.is_none();
        let files = Files {
            dials: true,
            cert: cert.as_deref(),
            key: key.as_deref(),
            ca: Some(ca.as_deref().unwrap_or(&tls.chain)),
            name: name.trim(),
        };
        tool_client(&files, any_name).map(Some).map_err(|found| told(&found, "tls-ca"))
    }

    /// How connections are accepted: `None`: without TLS.
    ///
    /// # Errors
    /// A file that is wrong, and options that are not for that.
    pub fn server(&self, client_ca: Option<&Path>) -> Result<Option<Server>, CliError> {
        if self.tls_ca.is_some() || self.tls_server_name.is_some() {
            return Err(usage(
                "--tls-ca and --tls-server-name are for connections to FSUs: a centre has --tls-client-ca".into(),
            ));
        }
        let (ca, cert, key) = (
            bytes("tls-client-ca", client_ca)?,
            bytes("tls-cert", self.tls_cert.as_deref())?,
            bytes("tls-key", self.tls_key.as_deref())?,
        );
        if cert.is_none() {
            return match client_ca {
                None => Ok(None),
                Some(_) => Err(usage("--tls-client-ca needs --tls-cert and --tls-key".into())),
            };
        }
        let files = Files { dials: false, cert: cert.as_deref(), key: key.as_deref(), ca: ca.as_deref(), name: "" };
        tool_server(&files).map(Some).map_err(|found| told(&found, "tls-client-ca"))
    }
}

/// What is wrong with the file of an option.
fn told(found: &Found, ca: &str) -> CliError {
    let option = match found.key {
        "cert" => "tls-cert",
        "key" => "tls-key",
        "server_name" => "tls-server-name",
        _ => ca,
    };
    usage(format!("--{option}: {}", found.text))
}
