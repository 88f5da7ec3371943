//! An engine that is measured: its socket, its process, the image it gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use berth_tests::{Address, Client, rootfs};
use serde_json::Value;

use crate::session::{Session, api};

/// The image of all measurements.
pub(crate) const IMAGE: &str = "berth-bench";

/// The label by which the containers of the measurements are found again.
pub(crate) const LABEL: &str = "berth-bench";

/// The length of the image's file `/text`, in bytes.
pub(crate) const TEXT_BYTES: usize = 32 * 1024 * 1024;

/// Where an engine serves.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// The socket of the Docker Engine API.
    pub(crate) socket: PathBuf,
    /// The socket of Kubernetes' container runtime interface.
    pub(crate) cri: Option<PathBuf>,
    /// The address of a BuildKit beside it.
    pub(crate) buildkit: Option<String>,
}

/// An engine with the image of the measurements.
#[derive(Debug)]
pub(crate) struct Engine {
    addresses: Addresses,
    command: Option<String>,
    process: Option<Child>,
}

/// The files of the image's directory `/tree`, and their bytes together.
pub(crate) const TREE_FILES: usize = 1000;
pub(crate) const TREE_BYTES: usize = TREE_FILES * 10_000;

impl Engine {
    /// Connects to an engine, or starts it first, and gives it the image.
    pub(crate) fn open(addresses: Addresses, command: Option<String>) -> anyhow::Result<Self> {
        let mut engine = Self { addresses, command, process: None };
        engine.start()?;
        engine.give_image()?;
        engine.clean()?;
        Ok(engine)
    }

    /// The engine's address.
    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.addresses.socket.clone())
    }

    /// Where it serves Kubernetes' container runtime interface.
    pub(crate) fn cri(&self) -> Option<&Path> {
        self.addresses.cri.as_deref()
    }

    /// The address of a BuildKit that builds for it.
    pub(crate) fn buildkit(&self) -> Option<&str> {
        self.addresses.buildkit.as_deref()
    }

    /// The address as clients take it in `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.addresses.socket.display())
    }

    /// A client with a kept connection.
    pub(crate) fn session(&self) -> Session {
        Session::new(self.address())
    }

    /// A client that connects for every request.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address()).at(api())
    }

    /// Starts the engine, if a command was given and it does not run; gives the time until it answered.
    pub(crate) fn start(&mut self) -> anyhow::Result<Option<Duration>> {
        let Some(command) = &self.command else { return Ok(None) };
        let begin = Instant::now();
        let process = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run the start command")?;
        self.process = Some(process);
        while self.client().attempt("GET", "/_ping", &[], b"").is_err() {
            if begin.elapsed() > Duration::from_secs(60) {
                bail!("the engine does not answer: {command}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Some(begin.elapsed()))
    }

    /// Kills an engine that was started here and starts it again; gives the time until it answered.
    pub(crate) fn restart(&mut self) -> anyhow::Result<Option<Duration>> {
        if self.command.is_none() {
            return Ok(None);
        }
        self.kill()?;
        self.start()
    }

    /// Kills the engine's process as `kill -9` does.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Stops an engine that was started here.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = rustix::process::Pid::from_child(&process);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = process.wait();
        }
    }

    /// The pid of the process that listens at the socket.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let stream = std::os::unix::net::UnixStream::connect(&self.addresses.socket)?;
        let peer = rustix::net::sockopt::socket_peercred(&stream).context("cannot ask who listens")?;
        Ok(u32::try_from(peer.pid.as_raw_nonzero().get())?)
    }

    /// The body that creates a container of the measurements.
    pub(crate) fn body(&self, command: &[&str], network: &str) -> Value {
        serde_json::json!({
            "Image": IMAGE,
            "Cmd": command,
            "Labels": { LABEL: "1" },
            "HostConfig": { "NetworkMode": network },
        })
    }

    /// Removes what a measurement has left.
    pub(crate) fn clean(&self) -> anyhow::Result<()> {
        let filters =
            berth_tests::query(&[("all", "1"), ("filters", &format!("{{\"label\":[\"{LABEL}\"]}}"))]);
        let mut session = self.session();
        let listed = session.ask("GET", &format!("/containers/json{filters}"), None)?.json();
        for container in listed.as_array().into_iter().flatten() {
            session.remove(container["Id"].as_str().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Makes the image: busybox, a file of text in lines of 80 bytes (the same again in a directory of its
    /// own), and a tree of small files.
    fn give_image(&self) -> anyhow::Result<()> {
        let mut archive = tar::Archive::new(rootfs::busybox());
        let mut image = tar::Builder::new(Vec::new());
        for entry in archive.entries()? {
            let entry = entry?;
            let header = entry.header().clone();
            match entry.link_name()? {
                Some(target) => image.append_link(&mut header.clone(), entry.path()?, target)?,
                None => image.append(&header, entry)?,
            }
        }
        let line = format!("{}\n", "0123456789".repeat(8).split_at(79).0);
        let text = line.repeat(TEXT_BYTES.div_ceil(line.len()));
        rootfs::append(&mut image, "text", tar::EntryType::Regular, 0o644, &text.as_bytes()[..TEXT_BYTES]);
        rootfs::append(
            &mut image,
            "large/text",
            tar::EntryType::Regular,
            0o644,
            &text.as_bytes()[..TEXT_BYTES],
        );
        for number in 0..TREE_FILES {
            let name = format!("tree/{}/{number}", number % 20);
            let from = number * 80;
            let content = &text.as_bytes()[from..from + TREE_BYTES / TREE_FILES];
            rootfs::append(&mut image, &name, tar::EntryType::Regular, 0o644, content);
        }
        let archive = image.into_inner()?;
        let path = format!("/images/create?fromSrc=-&repo={IMAGE}&tag=latest");
        let answer =
            self.client().attempt("POST", &path, &[("Content-Type", "application/x-tar")], &archive)?;
        if answer.status() != 200 {
            bail!("cannot make the image: {}", answer.text());
        }
        Ok(())
    }
}

/// The proportional set size of a process, in megabytes.
pub(crate) fn proportional_megabytes(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
