//! Whose certificates are accepted: those of a CA, and those that are named themselves.
//!
//! `openssl req -x509` makes a certificate that is signed by itself and says that it is a CA's. rustls does not accept it as that of the
//! other side, even where it is trusted. Here a certificate that is in the file of trusted ones is accepted as it is.

use crate::dates;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Trusts these certificates, and those that they have signed.
#[derive(Debug)]
pub(crate) struct Trust<V: ?Sized> {
    provider: Arc<CryptoProvider>,
    named: Vec<CertificateDer<'static>>,
    /// For all others.
    signed: Arc<V>,
    /// One that is named is accepted whatever the name in it.
    any_name: bool,
}

/// What an error of building it says.
pub(crate) type Told = String;

fn store(certificates: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, Told> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates) {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("certificate {number} of it cannot be used: {error}"))?;
    }
    Ok(Arc::new(roots))
}

impl Trust<WebPkiServerVerifier> {
    /// For one that dials.
    pub(crate) fn of_servers(
        provider: &Arc<CryptoProvider>,
        named: Vec<CertificateDer<'static>>,
        any_name: bool,
    ) -> Result<Self, Told> {
        let roots = store(&named)?;
        let signed = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let signed = signed.map_err(|error| error.to_string())?;
        Ok(Self { provider: provider.clone(), named, signed, any_name })
    }
}

impl Trust<dyn ClientCertVerifier> {
    /// For one that listens.
    pub(crate) fn of_clients(
        provider: &Arc<CryptoProvider>,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, Told> {
        let roots = store(&named)?;
        let signed = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
        let signed = signed.map_err(|error| error.to_string())?;
        Ok(Self { provider: provider.clone(), named, signed, any_name: true })
    }
}

impl<V: ?Sized> Trust<V> {
    /// Whether it is one of those that are named; an error if it is not valid now.
    fn is_named(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<bool, Error> {
        if !self.named.iter().any(|named| named.as_ref() == certificate.as_ref()) {
            return Ok(false);
        }
        let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match dates::validity(certificate) {
            Some((first, _)) if now_s < first => Err(CertificateError::NotValidYet.into()),
            Some((_, last)) if now_s > last => Err(CertificateError::Expired.into()),
            _ => Ok(true),
        }
    }
}

/// The methods about signatures, which both traits have alike.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.signed.supported_verify_schemes()
        }
    };
}

impl ServerCertVerifier for Trust<WebPkiServerVerifier> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.is_named(certificate, now)? {
            return self.signed.verify_server_cert(certificate, others, name, ocsp, now);
        }
        if !self.any_name {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Trust<dyn ClientCertVerifier> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.is_named(certificate, now)? {
            return Ok(ClientCertVerified::assertion());
        }
        self.signed.verify_client_cert(certificate, others, now)
    }

    signatures!();
}
