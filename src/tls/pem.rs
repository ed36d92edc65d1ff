//! Certificates and keys out of PEM.

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, in their order; never none.
///
/// # Errors
/// What is wrong with it.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("no certificate in it (PEM: `-----BEGIN CERTIFICATE-----`)".into()),
        Err(error) => Err(format!("no PEM: {}", told(&error))),
    }
}

/// The first private key of a file.
///
/// # Errors
/// What is wrong with it.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) if is_encrypted(bytes) => {
            Err("the private key is encrypted, and nobody is there to type a password (`openssl pkey -in FILE -out FILE` writes it without one)".into())
        }
        Err(Error::NoItemsFound) => Err("no private key in it (PEM: `-----BEGIN PRIVATE KEY-----`)".into()),
        Err(error) => Err(format!("no PEM: {}", told(&error))),
    }
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let mark = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    bytes.windows(mark.len()).any(|window| window == mark)
}

/// What an error says, in few words.
fn told(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no end".into(),
        Error::IllegalSectionStart { .. } => "a section begins in a wrong way".into(),
        Error::Base64Decode(_) => "a section is no base64".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Authority;

    #[test]
    fn what_is_no_pem_is_told() {
        let one = Authority::new("ca").leaf(&["a.example"]);
        let both = format!("{}{}", one.cert, one.key);
        assert_eq!(certificates(both.as_bytes()).map(|all| all.len()), Ok(1));
        assert!(private_key(both.as_bytes()).is_ok());
        let check = |text: &str, cert: &str, key: &str| {
            let told = certificates(text.as_bytes()).map(drop).unwrap_err();
            assert!(told.starts_with(cert), "{told}");
            let told = private_key(text.as_bytes()).map(drop).unwrap_err();
            assert!(told.starts_with(key), "{told}");
        };
        check("", "no certificate in it", "no private key in it");
        check("hello", "no certificate in it", "no private key in it");
        check("-----BEGIN CERTIFICATE-----\nAAAA\n", "no PEM: a section has no end", "no PEM: a section has no end");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        check(encrypted, "no certificate in it", "the private key is encrypted");
    }
}
