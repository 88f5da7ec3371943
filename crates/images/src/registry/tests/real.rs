//! Debian's `docker-registry` for tests: plain or with TLS, open or with a password.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory that is removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("berth-registry-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a registry is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    Open,
    /// User `joe` with the password `secret`.
    Password,
    /// TLS by an authority of its own, for the host `localhost`.
    Tls,
    /// The same, and clients need a certificate too.
    ClientCertificate,
}

/// The user `joe` with the password `secret`, by bcrypt.
const JOE: &str = "joe:$2y$04$ho6k5VIsDhAdRVnkfC5ce.BkhdCy.90GmF01Kom.OJbZENpxQCXgm\n";

/// A running registry.
pub(super) struct Registry {
    pub(super) host: String,
    pub(super) scratch: Scratch,
    process: Child,
}

impl Registry {
    pub(super) fn start(protection: Protection) -> Self {
        let scratch = Scratch::new();
        let port = free_port();
        let host = match protection {
            Protection::Open | Protection::Password => format!("127.0.0.1:{port}"),
            Protection::Tls | Protection::ClientCertificate => format!("localhost:{port}"),
        };
        let config = scratch.path().join("config.yml");
        fs::write(&config, configuration(scratch.path(), port, protection)).unwrap();
        let log = fs::File::create(scratch.path().join("log")).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("these tests need Debian's package docker-registry");
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { host, scratch, process }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port without a listener. It is below the kernel's ephemeral ports, and among twenty that other processes
/// of these tests skip, so that it stays free until the registry takes it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 1000).unwrap() * 20;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed) % 20);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn configuration(directory: &Path, port: u16, protection: Protection) -> String {
    let show = |name: &str| directory.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
         enabled: true\nvalidation:\n  disabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: s\n",
        show("data")
    );
    match protection {
        Protection::Open => {}
        Protection::Password => {
            fs::write(show("htpasswd"), JOE).unwrap();
            text.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: basic-realm\n    path: {}\n",
                show("htpasswd")
            ));
        }
        Protection::Tls | Protection::ClientCertificate => {
            make_certificates(directory);
            text.push_str(&format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                show("server.pem"),
                show("server.key")
            ));
            if protection == Protection::ClientCertificate {
                text.push_str(&format!("    clientcas:\n      - {}\n", show("authority.pem")));
            }
        }
    }
    text
}

/// Makes an authority, a server's certificate for `localhost` and a client's.
fn make_certificates(directory: &Path) {
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments).current_dir(directory));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=test authority",
        "-keyout",
        "authority.key",
        "-out",
        "authority.pem",
    ]);
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        fs::write(
            directory.join("extensions"),
            format!("subjectAltName=DNS:localhost\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n"),
        )
        .unwrap();
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            "request.pem",
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-days",
            "2",
            "-set_serial",
            "7",
            "-extfile",
            "extensions",
            "-out",
            &format!("{name}.pem"),
        ]);
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
