//! What every test needs: a root of busybox, a specification, a run with its output.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_runtime::{Cgroup, Created, Given, Host, Process, ProcessExit, Running, StartError, Stdio};
use model::{
    ContainerId, ContainerSpec, LogDriver, LogSpec, Namespace, Namespaces, ProcessSpec, Resources,
    RootFilesystem, SeccompPolicy,
};

/// Docker's default set.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A directory of its own for one test, removed at its end.
pub(crate) struct Scene {
    pub(crate) directory: PathBuf,
    pub(crate) id: ContainerId,
}

/// The outcome of a container that ran to its end.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: ProcessExit,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        let id = ContainerId::from_random(bytes);
        let directory = std::env::temp_dir().join(format!("berth-runtime-{}", id.short()));
        let layer = directory.join("layer");
        for name in ["bin", "etc", "tmp", "home/app"] {
            std::fs::create_dir_all(layer.join(name)).unwrap();
        }
        for name in ["upper", "work"] {
            std::fs::create_dir_all(directory.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", layer.join("bin/busybox"))
            .expect("busybox-static must be installed as /bin/busybox");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            layer.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(layer.join("etc/group"), "root:x:0:\nstaff:x:50:app\n").unwrap();
        Self { directory, id }
    }

    pub(crate) fn layer(&self, path: &str) -> PathBuf {
        self.directory.join("layer").join(path)
    }

    /// A specification as the engine makes it for `docker run --net none`.
    pub(crate) fn spec(&self, arguments: &[&str]) -> ContainerSpec {
        ContainerSpec {
            id: self.id.clone(),
            name: "test".into(),
            root: RootFilesystem::Overlay {
                lower: vec![self.directory.join("layer")],
                upper: self.directory.join("upper"),
                work: self.directory.join("work"),
                volatile: false,
            },
            read_only_root: false,
            hostname: "inside".into(),
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
            cgroup_parent: "berth-test".parse().ok(),
            seccomp: SeccompPolicy::Default,
            apparmor_profile: None,
            selinux_label: None,
            masked_paths: None,
            read_only_paths: None,
            init: false,
            process: process(arguments),
            open_stdin: false,
            stdin_once: false,
            log: LogSpec {
                driver: LogDriver::None,
                options: BTreeMap::new(),
                path: PathBuf::new(),
                attributes: BTreeMap::new(),
                selected: std::collections::BTreeMap::new(),
                form: model::LogForm::default(),
            },
            health: None,
        }
    }

    /// Runs `sh -c script` to its end.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        run(&self.spec(&["sh", "-c", script])).unwrap()
    }
}

const APPLETS: [&str; 36] = [
    "sh", "true", "false", "cat", "echo", "id", "ls", "sleep", "mount", "umount", "grep", "env", "pwd",
    "stat", "touch", "mkdir", "mknod", "hostname", "ip", "tty", "stty", "kill", "ps", "dd", "readlink",
    "head", "wc", "test", "chmod", "chown", "ln", "rm", "unshare", "awk", "date", "ulimit",
];

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A process with the default rights.
pub(crate) fn process(arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        environment: vec!["PATH=/bin".into()],
        capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
        ..ProcessSpec::default()
    }
}

/// Pipes for a process: its ends, ours.
pub(crate) fn pipes() -> (Stdio, Ends) {
    let (stdin, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (output, stdout) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (errors, stderr) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (Stdio::Streams { stdin, stdout, stderr }, Ends { input: Some(input), output, errors })
}

/// Our ends of a process's pipes.
pub(crate) struct Ends {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: OwnedFd,
    pub(crate) errors: OwnedFd,
}

impl Ends {
    /// Gives the process its whole input and takes its output until both streams end.
    pub(crate) fn finish(mut self, input: &[u8]) -> (String, String) {
        if let Some(end) = self.input.take() {
            // A program that does not read its input is fine.
            let _ = std::fs::File::from(end).write_all(input);
        }
        let read = |end: OwnedFd| {
            let mut bytes = Vec::new();
            std::fs::File::from(end).read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        (read(self.output), read(self.errors))
    }
}

/// Creates without starting.
pub(crate) fn create(spec: &ContainerSpec) -> Result<(Created, Ends), StartError> {
    let (stdio, ends) = pipes();
    Ok((create_with(spec, stdio)?, ends))
}

/// Creates with these standard streams.
pub(crate) fn create_with(spec: &ContainerSpec, stdio: Stdio) -> Result<Created, StartError> {
    let host = Host::default();
    let cgroup = Cgroup::of(&host, spec)?;
    berth_runtime::create(&host, spec, cgroup, Given { stdio, held_mounts: &[], network: None, title: None })
}

/// Starts.
pub(crate) fn start(spec: &ContainerSpec) -> Result<(Running, Ends), StartError> {
    let (created, ends) = create(spec)?;
    Ok((created.start(None)?, ends))
}

/// Runs to the end and checks that nothing is left.
pub(crate) fn run(spec: &ContainerSpec) -> Result<Outcome, StartError> {
    run_with(spec, b"")
}

/// Runs to the end with input.
pub(crate) fn run_with(spec: &ContainerSpec, input: &[u8]) -> Result<Outcome, StartError> {
    let (running, ends) = start(spec)?;
    let (output, errors) = ends.finish(input);
    let exit = running.init().wait().unwrap();
    running.destroy().unwrap();
    assert_clean(running.cgroup().directories());
    Ok(Outcome { exit, output, errors })
}

/// Takes an exec to its end.
pub(crate) fn finish(process: &Process, ends: Ends) -> Outcome {
    let (output, errors) = ends.finish(b"");
    let exit = process.wait().unwrap();
    Outcome { exit, output, errors }
}

pub(crate) fn assert_clean(directories: &[PathBuf]) {
    for directory in directories {
        assert!(!directory.exists(), "{} is left", directory.display());
    }
}

/// Waits for something that must come true.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
