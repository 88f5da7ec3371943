//! Clients that others wrote in other languages; their scripts are in `tests/clients/`, `scripts/setup` installs
//! what they need. Each drives run, logs, exec, attach, cp, a build of nothing and events.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::Engine;

/// The directory with the clients' scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Where `scripts/setup` has put what a client needs.
fn installed(client: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let path = test.ancestors().nth(3).expect("the target directory").join("clients").join(client);
    assert!(path.exists(), "{} is missing: run scripts/setup", path.display());
    path
}

fn drive(command: &mut Command, wanted: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/setup"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}\n{stderr}", output.status);
    assert_eq!(stdout.trim(), wanted, "{stderr}");
}

#[test]
fn dockerode() {
    let engine = Engine::start();
    let mut command = Command::new("node");
    command
        .arg(scripts().join("dockerode/drive.js"))
        .arg(engine.socket())
        .arg("v1.20")
        .env("NODE_PATH", installed("dockerode").join("node_modules"));
    drive(&mut command, "dockerode: all is well");
}

#[test]
fn docker_py() {
    let engine = Engine::start();
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(scripts().join("docker-py/drive.py"))
        .arg(format!("unix://{}", engine.socket().display()))
        .env("PYTHONPATH", installed("docker-py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    drive(&mut command, "docker-py: all is well");
}
