//! A daemon of one's own for each test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal};

use crate::before::Before;
use crate::memory_limit::MemoryLimit;
use crate::namespaces::{etc_of, new_network};
use crate::{Address, Client, rootfs, wait};

/// How a test wants its daemon.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Flags beside those that every daemon of the tests gets.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Whether the daemon starts without the image `busybox`.
    pub without_image: bool,
    /// Shell commands that run in the engine's network namespace before the daemon starts.
    pub host_setup: Vec<String>,
    /// Whether it has a journal beside it: systemd's own journald, alone in a `/run` of its own.
    pub journal: bool,
    /// Files of an `/etc` of its own, which shows the host's others: name and content.
    pub etc: Vec<(&'static str, String)>,
    /// Whether it is started with SIGCHLD ignored, as some service managers and shells leave it.
    pub ignores_children: bool,
    /// The bytes of memory that the daemon and its shims may use together, if they are limited.
    pub memory: Option<u64>,
}

/// A running daemon with its directories and its network namespace.
///
/// Dropping it removes every container, stops the daemon and fails the test when anything is left.
#[derive(Debug)]
pub struct Engine {
    client: Client,
    directory: PathBuf,
    options: Options,
    daemon: Child,
    network: Child,
    journal: Option<Child>,
    before: Before,
    // After the processes that live in it.
    memory_limit: Option<MemoryLimit>,
}

impl Deref for Engine {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Engine {
    /// Starts a daemon that has the image `busybox`.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a daemon that serves no version newer than the reference's.
    #[must_use]
    pub fn start_of_reference() -> Self {
        Self::start_with_flags(&["--api-max=1.20"])
    }

    /// Starts a daemon with these flags.
    #[must_use]
    pub fn start_with_flags(flags: &[&str]) -> Self {
        let arguments = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::start_with(Options { arguments, ..Options::default() })
    }

    /// Starts a daemon with further flags.
    ///
    /// # Panics
    /// When this is not root, when the programs are not built or when the daemon does not come up.
    #[must_use]
    pub fn start_with(options: Options) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests run containers: they need root");
        let directory = new_directory();
        let network = new_network(options.journal, etc_of(&directory, &options.etc).as_deref());
        let journal = options.journal.then(|| start_journal(network.id()));
        for command in &options.host_setup {
            let _ = crate::host::in_network_of(network.id(), &["sh", "-ec", command]);
        }
        let client = Client::new(Address::Unix(directory.join("berth.sock")));
        let memory_limit = options.memory.map(|bytes| {
            let name = directory.file_name().and_then(|name| name.to_str()).expect("a name of plain letters");
            MemoryLimit::new(name, bytes)
        });
        let daemon = spawn(&directory, network.id(), &options, memory_limit.as_ref());
        let before = Before::default();
        let mut engine = Self { client, directory, options, daemon, network, journal, before, memory_limit };
        engine.wait_until_ready();
        if !engine.options.without_image {
            engine.import("busybox", rootfs::busybox());
        }
        engine.before = Before::of(&engine.data_root(), engine.network_pid());
        engine
    }

    /// Makes an image of a tar archive.
    ///
    /// # Panics
    /// When the engine refuses.
    pub fn import(&self, repository: &str, archive: &[u8]) {
        let path = format!("/images/create?fromSrc=-&repo={repository}&tag=latest");
        let answer = self.call("POST", &path, &[("Content-Type", "application/x-tar")], archive).expect(200);
        assert!(!answer.text().contains("\"error\""), "import: {}", answer.text());
    }

    /// The directory that holds all the engine's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The daemon's `--data-root`.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The daemon's `--exec-root`.
    #[must_use]
    pub fn exec_root(&self) -> PathBuf {
        self.directory.join("exec")
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("berth.sock")
    }

    /// The daemon's pid.
    #[must_use]
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.id()
    }

    /// A process in the engine's network namespace that outlives the daemon.
    #[must_use]
    pub fn network_pid(&self) -> u32 {
        self.network.id()
    }

    /// What the engine had to show before the test began.
    pub(crate) fn before(&self) -> &Before {
        &self.before
    }

    /// Everything the daemons of this engine have written to their log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("daemon.log")).unwrap_or_default()
    }

    /// Kills the daemon as `kill -9` does; its containers run on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_daemon(&mut self) {
        self.daemon.kill().expect("the daemon to kill");
        self.daemon.wait().expect("the daemon's end");
    }

    /// Ends the daemon as a service manager does.
    ///
    /// # Panics
    /// When it does not end with success.
    pub fn stop_daemon(&mut self) {
        let pid = Pid::from_child(&self.daemon);
        rustix::process::kill_process(pid, Signal::TERM).expect("the daemon to stop");
        let daemon = &mut self.daemon;
        let status = wait::until("the daemon's end", || daemon.try_wait().expect("the daemon's status"));
        assert!(status.success(), "the daemon ended with {status}; its log:\n{}", self.log());
    }

    /// Starts the next daemon on the same directories.
    pub fn start_daemon(&mut self) {
        self.daemon = self.spawn(&self.options);
        self.wait_until_ready();
    }

    /// Starts the next daemon with another environment.
    pub fn start_daemon_with(&mut self, environment: &[(&str, &str)]) {
        self.options.environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.start_daemon();
    }

    /// Starts the next daemon with other flags.
    pub fn start_daemon_with_flags(&mut self, flags: &[&str]) {
        self.options.arguments = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.start_daemon();
    }

    /// Starts a daemon with flags that it refuses; returns its output.
    ///
    /// # Panics
    /// When it does not end with a failure.
    pub fn refuses_to_start(&self, flags: &[&str]) -> String {
        let before = self.log().len();
        let arguments = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let options = Options { arguments, ..self.options.clone() };
        let mut daemon = self.spawn(&options);
        let status = wait::until("the daemon's end", || daemon.try_wait().expect("the daemon's status"));
        assert!(!status.success(), "{flags:?}: {status}");
        self.log().split_off(before)
    }

    /// `kill -9` and the next daemon.
    pub fn replace_daemon(&mut self) {
        self.kill_daemon();
        self.start_daemon();
    }

    /// The pids of the shims that serve this engine's containers.
    #[must_use]
    pub fn shims(&self) -> BTreeSet<u32> {
        // Its name is unlike any other engine's, which that of the directory beneath it is not.
        let processes = crate::host::processes_of(&self.directory).into_iter();
        processes.filter(|(_, command)| command.starts_with("berth-shim ")).map(|(pid, _)| pid).collect()
    }

    /// The pids of the daemon's shims that wait for a container to be started.
    #[must_use]
    pub fn parked_shims(&self) -> BTreeSet<u32> {
        let is_own = |pid: &u32| crate::host::parent_of(*pid) == Some(self.daemon.id());
        crate::host::processes_called("berth-shim --parked").into_iter().filter(is_own).collect()
    }

    /// The most memory that the daemon has had in use at once since it started or since
    /// [`Engine::forget_peak_memory`], in bytes.
    ///
    /// # Panics
    /// When the daemon does not run.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.daemon.id());
        let status = fs::read_to_string(&path).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let killed = self.memory_limit.as_ref().is_some_and(MemoryLimit::has_killed);
        let log = self.log();
        1024 * kibibytes.unwrap_or_else(|| panic!("the daemon is gone (for its memory: {killed}):\n{log}"))
    }

    /// Lets [`Engine::peak_memory`] count anew.
    ///
    /// # Panics
    /// When the daemon does not run.
    pub fn forget_peak_memory(&self) {
        // 5: "reset the peak resident set size", proc_pid_clear_refs(5).
        fs::write(format!("/proc/{}/clear_refs", self.daemon.id()), "5").expect("a running daemon");
    }

    fn spawn(&self, options: &Options) -> Child {
        spawn(&self.directory, self.network.id(), options, self.memory_limit.as_ref())
    }

    fn wait_until_ready(&mut self) {
        let end = std::time::Instant::now() + wait::TIMEOUT;
        loop {
            if self.client.attempt("GET", "/_ping", &[], b"").is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            if let Some(status) = self.daemon.try_wait().expect("the daemon's status") {
                panic!("the daemon ended with {status}; its log:\n{}", self.log());
            }
            assert!(std::time::Instant::now() < end, "the daemon is not ready; its log:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Ends the processes that the harness itself keeps and removes its directory.
    pub(crate) fn dispose(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        for pid in crate::host::processes_of(&self.directory).into_keys() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        for child in self.journal.iter_mut().chain([&mut self.network]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        // What a container nested too deeply for the standard library's removal is left when a test fails.
        let _ = Command::new("rm").arg("-rf").arg(&self.directory).status();
    }
}

/// Where `cargo build` has put a program of the workspace; a variable names another.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn program(name: &str, variable: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("this test's path");
        test.ancestors().nth(2).expect("target/debug").join(name)
    });
    assert!(
        path.exists(),
        "{} is missing: build it first (scripts/build), or set {variable}",
        path.display()
    );
    path
}

fn new_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let parent = std::env::var_os("BERTH_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    // Of one length, so that none is the beginning of another: processes are found by it.
    let directory = parent.join(format!("berth-tests-{}-{number:04}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the engine");
    directory
}

/// Starts a journal in the mount namespace of a process, and waits until it listens.
fn start_journal(holder: u32) -> Child {
    let journal = Command::new("nsenter")
        .args([&format!("--mount=/proc/{holder}/ns/mnt"), "/lib/systemd/systemd-journald"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nsenter (util-linux)");
    let socket = PathBuf::from(format!("/proc/{holder}/root/run/systemd/journal/socket"));
    wait::until("the journal (Debian's package systemd)", || socket.exists().then_some(()));
    journal
}

fn spawn(directory: &Path, network: u32, options: &Options, memory: Option<&MemoryLimit>) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join("daemon.log"))
        .expect("the daemon's log");
    let mut command = match memory {
        Some(limit) => {
            let mut command = limit.command();
            command.arg("nsenter");
            command
        }
        None => Command::new("nsenter"),
    };
    if options.journal || !options.etc.is_empty() {
        command.arg(format!("--mount=/proc/{network}/ns/mnt"));
    }
    command
        .arg(format!("--net=/proc/{network}/ns/net"))
        .args(options.ignores_children.then_some(["env", "--ignore-signal=CHLD"]).into_iter().flatten())
        .arg(program("berth", "BERTH_DAEMON"))
        .arg("daemon")
        .arg("--debug")
        .arg("--host")
        .arg(format!("unix://{}", directory.join("berth.sock").display()))
        .arg("--data-root")
        .arg(directory.join("data"))
        .arg("--exec-root")
        .arg(directory.join("exec"))
        .arg("--pidfile")
        .arg(directory.join("berth.pid"))
        .args(&options.arguments)
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the daemon's log"))
        .stderr(log);
    command.spawn().expect("nsenter (util-linux)")
}
