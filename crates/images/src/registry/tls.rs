//! The certificates for one registry: the system's authorities, its own, and a client's.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

/// Certificates for a registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM, or has not what its name promises.
    #[error("{path} holds no {expected} in PEM form")]
    NotPem {
        /// Which.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
    },
    /// A client certificate stands without its key.
    #[error("the client certificate {certificate} has no key {key}")]
    NoKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The file that is missing.
        key: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("the client certificate {certificate} does not fit its key")]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The TLS library's error.
        source: rustls::Error,
    },
}

/// Gives in plain words why TLS was not agreed on.
pub(super) fn reason(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "TLS: its certificate is signed by an unknown authority".to_owned()
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "TLS: its certificate is for another name".to_owned()
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "TLS: its certificate has expired".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => format!("TLS: {other}"),
    }
}

/// Whether a registry's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Against the system's authorities and the registry's own.
    Verified,
    /// Not at all.
    Anything,
}

/// The content of the certificate directories for one registry.
#[derive(Debug, Default)]
pub(super) struct HostCertificates {
    authorities: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl HostCertificates {
    /// Reads `HOST:PORT/` beneath every directory: `*.crt` are authorities, `NAME.cert` and
    /// `NAME.key` a client's certificate.
    pub(super) fn load(directories: &[PathBuf], host: &str) -> Result<Self, CertificateError> {
        let mut certificates = Self::default();
        for directory in directories {
            certificates.load_directory(&directory.join(host))?;
        }
        Ok(certificates)
    }

    fn load_directory(&mut self, directory: &Path) -> Result<(), CertificateError> {
        let cannot_read = |source| CertificateError::Read { path: directory.to_owned(), source };
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot_read(error)),
        };
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(cannot_read)?;
        paths.sort();
        for path in paths {
            match path.extension().and_then(OsStr::to_str) {
                Some("crt") => self.add_authority(&path)?,
                Some("cert") if self.client.is_none() => self.client = Some(read_client(&path)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the authorities of a file.
    pub(super) fn add_authority(&mut self, path: &Path) -> Result<(), CertificateError> {
        self.authorities.append(&mut read_certificates(path)?);
        Ok(())
    }

    /// Whether an authority of its own was given for the registry.
    pub(super) fn has_authority(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Makes the settings for connections to the registry.
    pub(super) fn into_config(self, trust: Trust) -> TlsConfig {
        let builder = TlsConfig::builder().client_cert(self.client);
        if trust == Trust::Anything {
            return builder.disable_verification(true).build();
        }
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::debug!(%error, "a certificate authority of the system cannot be read");
        }
        let mut roots = self.authorities;
        roots.extend(system.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()));
        // A machine without any authorities of its own still has the public ones.
        let roots = if roots.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&roots) };
        builder.root_certs(roots).build()
    }
}

/// The longest file of certificates: all public authorities have 250 KB.
const CERTIFICATE_LIMIT: u64 = 4 << 20;

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    sys::bounded_read::read_on_host(path, CERTIFICATE_LIMIT)
        .map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let certificates: Vec<_> = ureq::tls::parse_pem(&read(path)?)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(CertificateError::NotPem { path: path.to_owned(), expected: "certificate" });
    }
    Ok(certificates)
}

fn read_client(path: &Path) -> Result<ClientCert, CertificateError> {
    let key_path = path.with_extension("key");
    if !key_path.exists() {
        return Err(CertificateError::NoKey { certificate: path.to_owned(), key: key_path });
    }
    let chain = read_certificates(path)?;
    let key = PrivateKey::from_pem(&read(&key_path)?)
        .map_err(|_| CertificateError::NotPem { path: key_path, expected: "private key" })?;
    // Checked here because the client library takes the pair for granted.
    let mismatch = |source| CertificateError::KeyMismatch { certificate: path.to_owned(), source };
    let der_chain =
        chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let der_key = PrivateKeyDer::try_from(key.der().to_vec())
        .map_err(|reason| mismatch(rustls::Error::General(reason.to_owned())))?;
    CertifiedKey::from_der(der_chain, der_key, &ring::default_provider()).map_err(mismatch)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}
