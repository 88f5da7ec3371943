//! Keys and certificates for tests, made by `openssl`: an authority and a server that it vouches for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory with an authority (`authority.pem`) and a server (`server.pem`, `server.key`).
#[derive(Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// Makes them in a directory; the server is called by these names and addresses.
    ///
    /// # Panics
    /// When `openssl` fails.
    #[must_use]
    pub fn make(directory: &Path, alternatives: &str) -> Self {
        fs::create_dir_all(directory).expect("a directory");
        let openssl = |arguments: &str| {
            let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
            let output = output.expect("openssl");
            assert!(
                output.status.success(),
                "openssl {arguments}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem",
        );
        let extensions = format!("subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n");
        fs::write(directory.join("extensions"), extensions).expect("a file");
        openssl("req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out request.pem");
        openssl(
            "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -days 2 -set_serial 7 -extfile extensions -out server.pem",
        );
        Self(directory.to_owned())
    }

    /// One of the files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Signs bytes with the authority's key (RSA with SHA-256).
    ///
    /// # Panics
    /// When `openssl` fails.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        use std::io::Write;
        use std::process::Stdio;
        let mut child = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "authority.key"])
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl");
        child.stdin.take().expect("stdin").write_all(bytes).expect("openssl to read");
        let output = child.wait_with_output().expect("openssl");
        assert!(output.status.success(), "openssl dgst");
        output.stdout
    }
}
