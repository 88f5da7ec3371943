//! Debian's `docker-registry` in the network of an engine.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::certificates::Certificates;
use super::network::within_network;
use super::token;
use crate::{Engine, wait};

/// The user `joe` with the password `secret`, by bcrypt.
const JOE: &str = "joe:$2y$04$ho6k5VIsDhAdRVnkfC5ce.BkhdCy.90GmF01Kom.OJbZENpxQCXgm\n";

/// How a registry is protected.
#[derive(Debug, Clone)]
pub enum Protection {
    /// Not at all.
    Open,
    /// By a password file: user `joe`, password `secret`.
    Password,
    /// By the token service of the tests, whose authority is this one.
    Token(Arc<Certificates>),
    /// By TLS with this certificate.
    Tls(Arc<Certificates>),
}

/// A running registry; dropping it ends it and removes what it holds.
#[derive(Debug)]
pub struct Registry {
    /// Its address as it stands in names of images.
    pub host: String,
    directory: PathBuf,
    process: Child,
}

impl Registry {
    /// Starts a registry at an address of the engine's network, such as `127.0.0.1:5000`.
    ///
    /// # Panics
    /// When Debian's package `docker-registry` is not installed or does not listen.
    #[must_use]
    pub fn start(engine: &Engine, address: &str, protection: &Protection) -> Self {
        let directory = scratch();
        let config = directory.join("config.yml");
        fs::write(&config, configuration(&directory, address, protection)).expect("a configuration");
        let log = fs::File::create(directory.join("log")).expect("a log");
        let process = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
            .args(["docker-registry", "serve"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("nsenter");
        let mut registry = Self { host: address.to_owned(), directory, process };
        wait::until("docker-registry (Debian's package) to listen", || {
            // Another listener there would be taken for it.
            let ended = registry.process.try_wait().expect("the registry's process");
            assert!(ended.is_none(), "docker-registry ended: {}", registry.log());
            within_network(engine, || TcpStream::connect(address).ok())
        });
        registry
    }

    /// Where it keeps its blobs.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Its log, which has a line for each request.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A directory of its own, apart from the engine's, whose files are checked in the end.
fn scratch() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("registry-of-tests-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory for the registry");
    directory
}

fn configuration(directory: &Path, address: &str, protection: &Protection) -> String {
    let shown = |name: &str| directory.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
         enabled: true\ncompatibility:\n  schema1:\n    enabled: true\nhttp:\n  addr: '{address}'\n  secret: s\n",
        shown("data")
    );
    match protection {
        Protection::Open => {}
        Protection::Password => {
            fs::write(shown("htpasswd"), JOE).expect("a password file");
            text.push_str(&format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", shown("htpasswd")));
        }
        Protection::Token(certificates) => text.push_str(&format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: service\n    issuer: issuer\n    rootcertbundle: {}\n",
            token::ADDRESS,
            certificates.path("authority.pem").display()
        )),
        Protection::Tls(certificates) => text.push_str(&format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificates.path("server.pem").display(),
            certificates.path("server.key").display()
        )),
    }
    text
}
