//! A daemon's end of the conversation with a real shim, and a container made of busybox.
//!
//! These tests make namespaces, mounts and cgroups: they fail without root.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod names;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::{
    ContainerId, ContainerSpec, Exit, LogDriver, LogSpec, Namespace, Namespaces, ProcessSpec, Resources,
    RootFilesystem, SeccompPolicy,
};
use shim_protocol::{
    Answer, Attach, CONTROL_DESCRIPTOR, Envelope, Failure, MAXIMUM_PACKET, Notice, Request, RunDirectory,
};
use sys::program::ProgramFile;
use sys::seqpacket;

/// How long anything may take before a test fails.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Programs that the containers use; each is a link to busybox.
const PROGRAMS: [&str; 12] =
    ["sh", "cat", "echo", "sleep", "true", "dd", "stty", "head", "tr", "seq", "yes", "kill"];

/// The place of one test's container, removed at the end.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) id: ContainerId,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("berth-shim-test-").tempdir().unwrap();
        let mut random = [0; 32];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
        let place = Self { directory, id: ContainerId::from_random(random) };
        place.make_root();
        std::fs::create_dir_all(place.run().path()).unwrap();
        place
    }

    fn make_root(&self) {
        let root = self.directory.path().join("root");
        for name in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        // Not by this process: what another thread starts meanwhile has its descriptor for a while, and a program that
        // is open for writing cannot be executed.
        let mut copy = std::process::Command::new("cp");
        copy.arg("/usr/bin/busybox").arg(root.join("bin/busybox"));
        assert!(copy.status().unwrap().success(), "busybox-static is installed");
        for program in PROGRAMS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(program)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    }

    pub(crate) fn run(&self) -> RunDirectory {
        RunDirectory::at(self.directory.path().join("run"))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// A container that runs a script; without network, with a json-file log.
    pub(crate) fn spec(&self, script: &str) -> ContainerSpec {
        ContainerSpec {
            id: self.id.clone(),
            name: "test".into(),
            root: RootFilesystem::Directory(self.directory.path().join("root")),
            read_only_root: false,
            hostname: "test".into(),
            domainname: String::new(),
            namespaces: Namespaces {
                network: Namespace::Own,
                pid: Namespace::Own,
                ipc: Namespace::Own,
                uts: Namespace::Own,
                own_cgroup: false,
            },
            user_namespace: None,
            mounts: Vec::new(),
            devices: Vec::new(),
            device_rules: Vec::new(),
            privileged: false,
            shm_size: 64 << 20,
            sysctls: BTreeMap::new(),
            resources: Resources::default(),
            scope: None,
            keeps_cgroup_parents: false,
            cgroup_parent: "/berth-shim-test".parse().ok(),
            seccomp: SeccompPolicy::Default,
            apparmor_profile: None,
            selinux_label: None,
            masked_paths: None,
            read_only_paths: None,
            init: false,
            process: process(&["sh", "-c", script]),
            open_stdin: false,
            stdin_once: false,
            log: LogSpec {
                driver: LogDriver::JsonFile,
                options: BTreeMap::new(),
                path: self.log(),
                attributes: BTreeMap::new(),
                selected: std::collections::BTreeMap::new(),
                form: model::LogForm::default(),
            },
            health: None,
        }
    }

    /// Everything that is logged, as `out:text` and `err:text` a record.
    pub(crate) fn logged(&self) -> Vec<String> {
        use shim_protocol::log::{Reader, Start, Stream};
        let mut reader = Reader::open(&self.log(), Start::Beginning, None).unwrap();
        let mut records = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            let stream = if record.stream == Stream::Stdout { "out" } else { "err" };
            records.push(format!("{stream}:{}", String::from_utf8_lossy(record.payload)));
        }
        records
    }
}

/// A process with usual settings.
pub(crate) fn process(arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: vec!["PATH=/bin".into()],
        ..ProcessSpec::default()
    }
}

/// The daemon's connection to a shim.
pub(crate) struct Daemon {
    socket: OwnedFd,
    pub(crate) shim: Option<u32>,
    next: u64,
    notices: VecDeque<(Notice, Option<OwnedFd>)>,
}

impl Daemon {
    /// Starts a shim for a specification.
    pub(crate) fn spawn(place: &Place, spec: &ContainerSpec) -> Self {
        std::fs::write(place.run().spec(), serde_json::to_vec(spec).unwrap()).unwrap();
        let run = place.run();
        Self::spawn_with(&[OsStr::new("berth-shim"), run.path().as_os_str()])
    }

    /// Starts a shim that waits for its container.
    pub(crate) fn park(place: &Place, kind: &str) -> Self {
        let room = " ".repeat(place.run().path().as_os_str().len() + 1 - kind.len());
        Self::spawn_with(&[OsStr::new("berth-shim"), OsStr::new(kind), OsStr::new(&room)])
    }

    /// Gives a shim that waits a container.
    pub(crate) fn give(&self, place: &Place, spec: &ContainerSpec) {
        std::fs::write(place.run().spec(), serde_json::to_vec(spec).unwrap()).unwrap();
        self.send(place.run().path().as_os_str().as_encoded_bytes());
    }

    fn spawn_with(arguments: &[&OsStr]) -> Self {
        let program = ProgramFile::open(Path::new(env!("CARGO_BIN_EXE_berth-shim"))).unwrap().seal().unwrap();
        let (ours, theirs) = seqpacket::pair().unwrap();
        let shim = program.spawn(arguments, &[theirs.as_fd()], CONTROL_DESCRIPTOR).unwrap();
        Self { socket: ours, shim: Some(shim), next: 1, notices: VecDeque::new() }
    }

    /// Starts a shim and its container; clients are joined before.
    pub(crate) fn start(place: &Place, spec: &ContainerSpec, clients: &mut [(Attach, OwnedFd)]) -> Self {
        let mut daemon = Self::spawn(place, spec);
        daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
        for (attach, socket) in clients {
            daemon.attach(attach, socket);
        }
        daemon.ask(Request::Start { interface: None }, None).unwrap();
        daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
        daemon
    }

    /// Connects as a later daemon does.
    pub(crate) fn connect(place: &Place) -> Self {
        let socket = seqpacket::connect(&place.run().socket()).unwrap();
        Self { socket, shim: None, next: 1, notices: VecDeque::new() }
    }

    pub(crate) fn attach(&mut self, attach: &Attach, socket: &OwnedFd) {
        self.ask(Request::Attach(attach.clone()), Some(socket)).unwrap();
    }

    /// Sends a packet.
    pub(crate) fn send(&self, packet: &[u8]) {
        seqpacket::send(&self.socket, packet, None).unwrap();
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask(&mut self, request: Request, beside: Option<&OwnedFd>) -> Result<Answer, Failure> {
        let number = self.next;
        self.next += 1;
        let packet = serde_json::to_vec(&Envelope { number, request }).unwrap();
        seqpacket::send(&self.socket, &packet, beside.map(AsFd::as_fd)).unwrap();
        let (notice, _) =
            self.wait_for(|notice| matches!(notice, Notice::Reply { number: of, .. } if *of == number));
        match notice {
            Notice::Reply { result, .. } => result,
            other => panic!("{other:?} is no reply"),
        }
    }

    /// Waits for a notice; others stay for later.
    pub(crate) fn wait(&mut self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        self.wait_for(wanted).0
    }

    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Notice) -> bool) -> (Notice, Option<OwnedFd>) {
        let until = Instant::now() + TIMEOUT;
        loop {
            if let Some(index) = self.notices.iter().position(|(notice, _)| wanted(notice)) {
                return self.notices.remove(index).unwrap();
            }
            assert!(readable(&self.socket, until), "no such notice; there are {:?}", self.notices);
            let (packet, descriptor) = seqpacket::receive(&self.socket, MAXIMUM_PACKET)
                .unwrap()
                .unwrap_or_else(|| panic!("the shim is gone; there were {:?}", self.notices));
            self.notices.push_back((serde_json::from_slice(&packet).unwrap(), descriptor));
        }
    }

    pub(crate) fn exit(&mut self) -> Exit {
        match self.wait(|notice| matches!(notice, Notice::Exited(_))) {
            Notice::Exited(exit) => exit,
            other => panic!("{other:?} is no exit"),
        }
    }

    /// Waits for the exit, releases the shim and sees it end. Returns the exit.
    pub(crate) fn finish(mut self) -> Exit {
        let exit = self.exit();
        self.ask(Request::Release, None).unwrap();
        self.gone();
        exit
    }

    /// Closes the connection as a daemon that ends, and waits until the shim has ended.
    pub(crate) fn let_go(self) {
        let shim = self.shim;
        drop(self);
        ended(shim);
    }

    /// Waits until the shim has ended.
    pub(crate) fn gone(self) {
        ended(self.shim);
    }
}

fn ended(shim: Option<u32>) {
    let Some(shim) = shim else { return };
    let until = Instant::now() + TIMEOUT;
    while std::fs::read_to_string(format!("/proc/{shim}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
    {
        assert!(Instant::now() < until, "the shim does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    sys::program::reap(shim);
}

fn readable(socket: &OwnedFd, until: Instant) -> bool {
    let poller = sys::epoll::Poller::new().unwrap();
    poller.add(socket, 0, sys::epoll::Interest::READ).unwrap();
    let mut events = Vec::new();
    while Instant::now() < until && events.is_empty() {
        poller.wait(&mut events, Some(Duration::from_millis(100))).unwrap();
    }
    !events.is_empty()
}

/// A client's attachment: both outputs, framed.
pub(crate) fn attachment(client: u64) -> Attach {
    Attach {
        client,
        stdin: false,
        stdout: true,
        stderr: true,
        logs: false,
        stream: true,
        framed: true,
        detach_keys: Vec::new(),
        early_input: Vec::new(),
        quiet: false,
    }
}

/// A client's two ends: the client's own, and the one for the shim.
pub(crate) fn client() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(TIMEOUT)).unwrap();
    ours.set_write_timeout(Some(TIMEOUT)).unwrap();
    (ours, theirs.into())
}

/// Reads to the end.
pub(crate) fn rest(client: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Takes frames apart: what came on standard output, and on standard error.
pub(crate) fn streams(mut frames: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while !frames.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(frames[4..8].try_into().unwrap())).unwrap();
        match frames[0] {
            1 => out.extend_from_slice(&frames[8..8 + length]),
            2 => err.extend_from_slice(&frames[8..8 + length]),
            other => panic!("frame of type {other}"),
        }
        frames = &frames[8 + length..];
    }
    (out, err)
}

/// Reads until the bytes end with a text.
pub(crate) fn read_until(client: &mut impl Read, wanted: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(wanted.as_bytes()) {
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).unwrap(), 1, "end after {:?}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
