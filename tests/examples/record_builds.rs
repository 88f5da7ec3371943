//! Builds the cases of `peer_builds` through the real `docker buildx` and writes their results into a directory:
//!
//! ```text
//! record_builds BUILDX DIRECTORY              by the engine under test
//! record_builds BUILDX DIRECTORY BUILDKITD [GROUP ...]
//!                                             by BuildKit's own daemon, in a network and a root of its own
//! ```
//!
//! The second is how `src/peer_builds/results` was made; a difference between the two is a fault of the engine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_tests::peer_builds::{self, BaseImage, Case, GROUPS, Outcome, Servers, TIME};
use berth_tests::registry::{Protection, Registry, push};
use berth_tests::{Engine, wait};
use serde_json::Value;

/// Where images of the case's base come from.
const REGISTRY: &str = "127.0.0.1:5000";

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (buildx, directory, peer, only) = match arguments.as_slice() {
        [buildx, directory] => (buildx, directory, None, [].as_slice()),
        [buildx, directory, peer, only @ ..] => (buildx, directory, Some(peer), only),
        _ => panic!("usage: record_builds BUILDX DIRECTORY [BUILDKITD [GROUP ...]]"),
    };
    let scratch = std::env::temp_dir().join(format!("record-builds-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("a directory");
    let engine = Engine::start();
    let servers = Servers::start(&engine);
    let registry = Registry::start(&engine, REGISTRY, &Protection::Open);
    let name = format!("{REGISTRY}/library/busybox");
    let _ = engine.post(&format!("/images/busybox/tag?repo={name}&tag=latest")).expect(201);
    let _ = push(&engine, &name, "latest", None).succeeded();
    let base = BaseImage::of(&engine.at("1.55").get("/images/busybox/get").expect(200).body);
    let agent = Ended(
        Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(scratch.join("agent"))
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent"),
    );
    let daemon = peer.map(|program| start_peer(&engine, program, &scratch));
    let client = Buildx { program: buildx, scratch: &scratch, engine: &engine, is_peer: daemon.is_some() };
    if daemon.is_some() {
        let socket = format!("unix://{}", scratch.join("peer.sock").display());
        let created =
            client.run(&scratch, &["create", "--name", "peer", "--driver", "remote", "--use", &socket]);
        assert!(created.0, "{}", created.1);
    }
    let is_wanted = |group: &str| only.is_empty() || only.iter().any(|wanted| wanted.as_os_str() == group);
    for (group, cases, _) in GROUPS.into_iter().filter(|(group, ..)| is_wanted(group)) {
        let mut text = String::new();
        for case in peer_builds::cases(cases) {
            text.push_str(&format!("=== {}\n{}\n", case.name, client.build(&case, &base)));
        }
        fs::write(directory.join(format!("{group}.txt")), text).expect("the results");
    }
    let _ = engine.delete(&format!("/images/{name}:latest")).expect(200);
    // What the store has noted of the pushed layer goes with it.
    let _ = engine.delete("/images/busybox").expect(200);
    engine.forget_builds();
    drop((daemon, agent, registry, servers));
    fs::remove_dir_all(&scratch).expect("an empty directory");
}

/// A process that ends with this one.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn start_peer(engine: &Engine, program: &Path, scratch: &Path) -> Ended {
    let shown = |name: &str| scratch.join(name).display().to_string();
    let config = format!(
        "root = {:?}\n[grpc]\naddress = [{:?}]\n[worker.containerd]\nenabled = false\n\
         [worker.oci]\nenabled = true\nsnapshotter = \"overlayfs\"\n\
         [registry.\"docker.io\"]\nmirrors = [{REGISTRY:?}]\n[registry.{REGISTRY:?}]\nhttp = true\n",
        shown("root"),
        format!("unix://{}", shown("peer.sock"))
    );
    fs::write(scratch.join("config.toml"), config).expect("a configuration");
    let log = File::create(scratch.join("peer.log")).expect("a log");
    let daemon = Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
        .arg(program)
        .args(["--config", &shown("config.toml")])
        .stderr(log)
        .spawn()
        .expect("nsenter");
    wait::until("BuildKit's socket", || scratch.join("peer.sock").exists().then_some(()));
    Ended(daemon)
}

/// The client, pointed at one of the two.
struct Buildx<'a> {
    program: &'a Path,
    scratch: &'a Path,
    engine: &'a Engine,
    is_peer: bool,
}

impl Buildx<'_> {
    /// Runs the client in a directory; gives whether it succeeded, and its stderr.
    fn run(&self, directory: &Path, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(self.program)
            .args(arguments)
            .current_dir(directory)
            .env("BUILDX_CONFIG", self.scratch.join("buildx"))
            .env("DOCKER_HOST", format!("unix://{}", self.engine.socket().display()))
            .env("SSH_AUTH_SOCK", self.scratch.join("agent"))
            .output()
            .expect("docker-buildx");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn build(&self, case: &Case, base: &BaseImage) -> Outcome {
        let (context, image) = (self.scratch.join("context"), self.scratch.join("image.tar"));
        write_context(case, &context);
        let output = format!("type=docker,dest={}", image.display());
        let mut arguments = vec!["build", "--provenance=false", "--progress=rawjson", "--tag", "made"];
        arguments.extend(if self.is_peer { ["--output", &output] } else { ["--load", "--pull=false"] });
        let flags: Vec<String> = case.flags.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        arguments.extend(flags.iter().map(String::as_str));
        let file = context.join("Dockerfile").display().to_string();
        let place = context.display().to_string();
        arguments.extend(["--file", &file, &place]);
        // Named contexts and secrets are files of the context.
        let (is_built, said) = self.run(&context, &arguments);
        let result = if !is_built {
            peer_builds::error(&failure(&said))
        } else if self.is_peer {
            base.describe(&fs::read(&image).expect("an image"))
        } else {
            base.describe(&self.engine.at("1.55").get("/images/made/get").expect(200).body)
        };
        fs::remove_dir_all(&context).expect("the context");
        Outcome { warnings: warnings(&said), result }
    }
}

fn write_context(case: &Case, directory: &Path) {
    fs::create_dir_all(directory).expect("a directory");
    fs::write(directory.join("Dockerfile"), &case.dockerfile).expect("a Dockerfile");
    for file in &case.files {
        let path = directory.join(&file.name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        match &file.target {
            Some(target) => std::os::unix::fs::symlink(target, &path).expect("a link"),
            None => {
                fs::write(&path, &file.content).expect("a file");
                let mode = std::os::unix::fs::PermissionsExt::from_mode(file.mode);
                fs::set_permissions(&path, mode).expect("its mode");
            }
        }
    }
    set_times(directory);
}

fn set_times(path: &Path) {
    let found = fs::symlink_metadata(path).expect("a file");
    if found.is_dir() {
        fs::read_dir(path).expect("a directory").flatten().for_each(|entry| set_times(&entry.path()));
    }
    let touched = Command::new("touch")
        .args(["--no-dereference", "--date", &format!("@{TIME}")])
        .arg(path)
        .status()
        .expect("touch");
    assert!(touched.success(), "{}", path.display());
}

/// The objects of the progress.
fn progress(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn warnings(said: &str) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let warnings = progress(said).flat_map(|status| list(&status["warnings"]));
    let mut lines: Vec<String> = warnings
        .map(|warning| {
            let short = STANDARD.decode(warning["short"].as_str().unwrap_or_default()).expect("base64");
            let line = &list(&warning["range"]).first().cloned().unwrap_or_default()["start"]["line"];
            format!("line {line}: {}", String::from_utf8_lossy(&short))
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn failure(said: &str) -> String {
    let text = said.split_once("ERROR: failed to build: failed to solve: ").unwrap_or_else(|| {
        panic!("the client failed otherwise:\n{said}");
    });
    text.1.trim_end().to_owned()
}
