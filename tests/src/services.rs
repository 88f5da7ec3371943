//! Servers for an engine under test, in its network namespace: web pages, git repositories.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Engine, host, wait};

/// A server that ends with its test.
#[derive(Debug)]
pub struct Service {
    process: Child,
    root: PathBuf,
    /// What its addresses begin with: `http://127.0.0.1:8000/`.
    pub address: String,
}

impl Service {
    /// Serves a directory of web pages; programs in its `cgi-bin` are run.
    #[must_use]
    pub fn web(engine: &Engine, port: u16) -> Self {
        let root = directory(engine, "www");
        let listen = format!("127.0.0.1:{port}");
        let command = ["busybox", "httpd", "-f", "-p", &listen, "-h", &root.to_string_lossy()];
        Self::start(engine, port, &command, format!("http://{listen}/"), root.clone())
    }

    /// Serves all repositories beneath a directory by git's own protocol.
    ///
    /// # Panics
    /// When git is not installed.
    #[must_use]
    pub fn git(engine: &Engine, port: u16) -> Self {
        let root = directory(engine, "repositories");
        let (port_flag, base) = (format!("--port={port}"), format!("--base-path={}", root.display()));
        // Not by way of `git daemon`: that would be a process more to end.
        let program = git_program("git-daemon");
        let command = [
            &*program,
            "--reuseaddr",
            "--export-all",
            "--listen=127.0.0.1",
            "--log-destination=none",
            &port_flag,
            &base,
        ];
        Self::start(engine, port, &command, format!("git://127.0.0.1:{port}/"), root.clone())
    }

    /// Starts any server and waits until its port takes connections.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(engine: &Engine, port: u16, command: &[&str], address: String, root: PathBuf) -> Self {
        let network = format!("--net=/proc/{}/ns/net", engine.network_pid());
        let mut server = Command::new("nsenter");
        server
            .process_group(0)
            .arg(&network)
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = server.spawn().expect("nsenter (util-linux)");
        let port = format!(":{port}");
        wait::until(&format!("{address} to answer"), || {
            let listening = host::in_network_of(engine.network_pid(), &["ss", "-Hltn", "sport", "=", &port]);
            (!listening.is_empty()).then_some(())
        });
        Self { process, root, address }
    }

    /// The directory that is served.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The address of something that is served.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Puts a page there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn page(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root.join(name), content).expect("a page");
    }

    /// Puts a program there, which answers below `cgi-bin/NAME`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn program(&self, name: &str, script: &str) {
        let directory = self.root.join("cgi-bin");
        fs::create_dir_all(&directory).expect("the programs' directory");
        crate::install(&directory.join(name), script.as_bytes());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Programs that answer requests belong to its group.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

/// The path of one of git's own programs.
///
/// # Panics
/// When git is not installed.
#[must_use]
pub fn git_program(name: &str) -> String {
    let output = Command::new("git").arg("--exec-path").output().expect("git");
    let directory = String::from_utf8(output.stdout).expect("a path");
    format!("{}/{name}", directory.trim())
}

/// Runs git in a repository under test; returns its output.
///
/// # Panics
/// When git fails.
pub fn git(directory: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    command.args(["-c", "init.defaultBranch=main"]).args(words).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().expect("git");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn directory(engine: &Engine, name: &str) -> PathBuf {
    let root = engine.directory().join(name);
    fs::create_dir_all(&root).expect("a directory to serve");
    root
}
