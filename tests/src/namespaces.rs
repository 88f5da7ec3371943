//! The namespaces of a test's engine: a network, and on request a `/run` and an `/etc`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process that keeps a new network namespace, its loopback up; with `own_run` also a mount namespace
/// with an empty `/run`, with `etc` one whose `/etc` is an overlay with the files beneath `upper`.
pub(crate) fn new_network(own_run: bool, etc: Option<&Path>) -> Child {
    let mut command = Command::new("unshare");
    command.arg("--net");
    let mut script = "ip link set lo up && ".to_owned();
    if own_run || etc.is_some() {
        command.arg("--mount");
    }
    if let Some(etc) = etc {
        // No process is found by the engine's directory.
        command.current_dir(etc);
        script.push_str(
            "mount -t overlay overlay -o lowerdir=/etc,upperdir=upper,workdir=work /etc && cd / && ",
        );
    }
    if own_run {
        script.push_str("mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal && ");
    }
    script.push_str("echo up && exec sleep 100000");
    let mut child = command
        .args(["--kill-child", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare (util-linux)");
    let output = child.stdout.take().expect("the pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("the network namespace");
    assert_eq!(line.trim(), "up", "the network namespace was not made");
    child
}

/// Writes the files of an `/etc` of the engine's own; gives the directory that holds them.
pub(crate) fn etc_of(directory: &Path, files: &[(&str, String)]) -> Option<PathBuf> {
    if files.is_empty() {
        return None;
    }
    let etc = directory.join("etc");
    for part in ["upper", "work"] {
        fs::create_dir_all(etc.join(part)).expect("a directory for /etc");
    }
    for (name, content) in files {
        fs::write(etc.join("upper").join(name), content).expect("a file of /etc");
    }
    Some(etc)
}
