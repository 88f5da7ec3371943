//! Libraries in other languages. Each drives the life of a container (run, logs, exec, attach, stats, cp, wait) and of an image (pulled
//! from a registry, built, removed), and events.

use std::process::Command;

use berth_tests::registry::{Content, Server, tar_of};
use berth_tests::{Engine, client_files, installed, node};

/// Runs a client's script against a daemon that reaches a registry; its last arguments are `registry/name:tag`.
fn drive(engine: &Engine, command: &mut Command, wanted: &str) {
    let mut content = Content::default();
    let _ = content.image("x", &[tar_of(&[("f", b"x")]), tar_of(&[("g", &vec![7; 1 << 20])])]);
    let server = Server::start(engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    command.arg("127.0.0.1:5000/a:x");
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/setup"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}\n{stderr}", output.status);
    assert_eq!(stdout.trim(), wanted, "{stderr}");
    drop(server);
}

/// Runs the script of a client in Python.
fn drive_python(client: &str, wanted: &str) {
    run_python(client, "drive.py", wanted);
}

fn run_python(client: &str, script: &str, wanted: &str) {
    let engine = Engine::start();
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(client_files(client).join(script))
        .arg(format!("unix://{}", engine.socket().display()))
        .env("PYTHONPATH", installed(client))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    drive(&engine, &mut command, wanted);
    engine.forget_builds();
}

#[test]
fn dockerode() {
    let engine = Engine::start();
    let mut command = Command::new(node());
    command
        .arg(client_files("dockerode").join("drive.js"))
        .arg(engine.socket())
        .arg("v1.20")
        .env("NODE_PATH", installed("dockerode").join("node_modules"));
    drive(&engine, &mut command, "dockerode: all is well");
}

#[test]
fn docker_py() {
    drive_python("docker-py", "docker-py: all is well");
}

#[test]
fn docker_py_of_today() {
    drive_python("docker-py-7", "docker-py 7: all is well");
}

#[test]
fn every_argument_of_docker_py_of_today() {
    run_python("docker-py-7", "arguments.py", "docker-py 7: every argument is well");
}

#[test]
fn testcontainers() {
    drive_python("testcontainers", "testcontainers: all is well");
}

#[test]
fn docker_py_of_the_time_of_this_version() {
    drive_python("docker-py-1.5", "docker-py 1.5: all is well");
}

#[test]
fn aiodocker() {
    drive_python("aiodocker", "aiodocker: all is well");
}
