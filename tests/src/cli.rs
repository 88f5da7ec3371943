//! The real `docker` client, whichever versions the machine has, pointed at an engine.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Engine;
use crate::terminal::Terminal;

/// Where clients are looked for: Debian's, and one put there by hand.
const PLACES: [&str; 2] = ["/usr/bin/docker", "/usr/local/bin/docker"];

/// No command may take longer: one that does hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A client and the engine it talks to.
#[derive(Debug)]
pub struct Docker<'a> {
    program: PathBuf,
    engine: &'a Engine,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// The clients that this machine has.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn clients(engine: &Engine) -> Vec<Docker<'_>> {
    let found = PLACES.iter().map(PathBuf::from).filter(|path| path.exists());
    let found: Vec<_> = found.map(|program| Docker { program, engine }).collect();
    assert!(!found.is_empty(), "no docker client (Debian's package docker.io)");
    found
}

impl Docker<'_> {
    /// Runs a command to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_input(arguments, b"")
    }

    /// Runs a command that must succeed; gives its stdout without the last newline.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, 0, "{} {arguments:?}: {finished:?}", self.program.display());
        finished.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs a command with bytes on stdin.
    ///
    /// # Panics
    /// When it hangs.
    #[must_use]
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Finished {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().expect("stdin");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let finished = self.finish(child, arguments);
        let _ = writer.join();
        finished
    }

    /// Starts a command and leaves it running.
    ///
    /// # Panics
    /// When the client cannot be run.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(self.environment());
        command.env_remove("DOCKER_API_VERSION").env_remove("DOCKER_CONTEXT");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the docker client")
    }

    /// Waits for a command that was started.
    ///
    /// # Panics
    /// When it hangs.
    #[must_use]
    pub fn finish(&self, mut child: Child, arguments: &[&str]) -> Finished {
        drop(child.stdin.take());
        let stdout = reader(child.stdout.take().expect("stdout"));
        let stderr = reader(child.stderr.take().expect("stderr"));
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the client's status") {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                let (out, err) = (text(stdout), text(stderr));
                panic!("{} {arguments:?} hangs; stdout {out:?}, stderr {err:?}", self.program.display());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Finished { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs a command on a terminal.
    #[must_use]
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        let environment = self.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Terminal::start(&self.program, arguments, &environment, 24, 80)
    }

    /// The version of the client.
    #[must_use]
    pub fn version(&self) -> String {
        self.ok(&["version", "--format", "{{.Client.Version}}"])
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let home = self.engine.directory().display().to_string();
        vec![
            ("DOCKER_HOST", format!("unix://{}", self.engine.socket().display())),
            ("DOCKER_CONFIG", home.clone()),
            ("HOME", home),
            // The builder of this API; newer clients want another by default.
            ("DOCKER_BUILDKIT", "0".to_owned()),
        ]
    }
}

fn reader(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn text(stream: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&stream.join().unwrap_or_default()).into_owned()
}
