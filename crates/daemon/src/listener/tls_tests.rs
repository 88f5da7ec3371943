//! TLS over real sockets: which clients are accepted, and that hijacked connections are encrypted too.

use std::fs;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::*;
use crate::config::TlsFiles;
use berth_http::{Exchange, Response, Service, Settings, Transport, request_budget, serve};

/// Answers every request with its path, or echoes a hijacked connection.
struct Echo;

impl Service for Echo {
    fn call<'a>(&'a self, exchange: &'a mut Exchange) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if exchange.head.path == "/hijack" {
                let hijacked = exchange.hijack(berth_http::StreamKind::Raw).await.expect("head is sent");
                let (descriptor, early) = hijacked.into_descriptor().expect("a socket pair");
                assert!(early.is_empty());
                std::thread::spawn(move || echo(descriptor.into()));
            } else {
                let path = exchange.head.path.clone();
                exchange.respond(&Response::text(StatusCode::OK, path)).await.expect("answer is sent");
            }
        })
    }
}

fn echo(socket: std::os::unix::net::UnixStream) {
    socket.set_nonblocking(false).expect("blocking");
    std::io::copy(&mut &socket, &mut &socket).expect("echoed");
    socket.shutdown(std::net::Shutdown::Write).expect("closed");
}

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("certificate"))
    }

    fn sign(&self, expired: bool) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
        if expired {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }
}

struct Host {
    authority: Authority,
    directory: std::path::PathBuf,
    address: std::net::SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

async fn host(name: &str, verify: bool) -> Host {
    let directory = std::env::temp_dir().join(format!("berth-tls-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("directory");
    let authority = Authority::new();
    let (certificate, key) = authority.sign(false);
    let file = |name: &str, text: &str| {
        fs::write(directory.join(name), text).expect("written");
        directory.join(name)
    };
    let files = TlsFiles {
        certificate: file("cert.pem", &certificate),
        key: file("key.pem", &key),
        client_ca: verify.then(|| file("ca.pem", &authority.0.pem())),
    };
    let acceptor = acceptor(&files).expect("usable files");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    let (stop, stopping) = watch::channel(false);
    let settings = Settings { common_headers: "".into(), budget: request_budget(1 << 20), stopping };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, settings) = (acceptor.clone(), settings.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(Transport::tls(stream), Arc::new(Echo), settings).await;
                }
            });
        }
    });
    Host { authority, directory, address, _stop: stop }
}

/// Sends a request and returns the answer, or nothing when the connection is refused.
async fn ask(host: &Host, identity: Option<(String, String)>, request: &str, input: &[u8]) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(host.authority.0.der().clone()).expect("root");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("key");
            builder.with_client_auth_cert(chain.expect("chain"), key).expect("identity")
        }
    };
    let stream = TcpStream::connect(host.address).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.write_all(input).await.ok()?;
    stream.shutdown().await.ok()?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    read.expect("the server ends the connection").ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

const PING: &str = "GET /ping HTTP/1.1\r\nHost: d\r\n\r\n";

#[tokio::test]
async fn without_verification_everyone_is_let_in() {
    let host = host("open", false).await;
    let answer = ask(&host, None, PING, b"").await.expect("let in");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("/ping"), "{answer}");
}

#[tokio::test]
async fn with_verification_only_the_authoritys_clients_are() {
    let host = host("verify", true).await;
    assert!(
        ask(&host, Some(host.authority.sign(false)), PING, b"").await.expect("let in").ends_with("/ping")
    );
    assert_eq!(ask(&host, None, PING, b"").await, None, "no certificate");
    assert_eq!(ask(&host, Some(Authority::new().sign(false)), PING, b"").await, None, "another authority");
    assert_eq!(ask(&host, Some(host.authority.sign(true)), PING, b"").await, None, "expired");
}

#[tokio::test]
async fn a_hijacked_connection_stays_ciphered_and_whole() {
    let host = host("hijack", false).await;
    let input = b"0123456789".repeat(100_000);
    let request = "POST /hijack HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n";
    let answer = ask(&host, None, request, &input).await.expect("let in");
    let (head, stream) = answer.split_once("\r\n\r\n").expect("head");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(stream.as_bytes() == input, "{} bytes came back", stream.len());
}

#[test]
fn unusable_files_are_named() {
    let missing = TlsFiles { certificate: "/no/such.pem".into(), key: "/no/key.pem".into(), client_ca: None };
    assert!(matches!(acceptor(&missing), Err(TlsError::Read { path, .. }) if path.ends_with("such.pem")));
    let empty = TlsFiles { certificate: "/dev/null".into(), key: "/dev/null".into(), client_ca: None };
    assert!(matches!(acceptor(&empty), Err(TlsError::Empty(_))));
}
