//! The command line of development containers, which drives the engine by the machine's `docker`.

use std::fs;

use berth_tests::{Engine, Program, client_files, installed, node};
use serde_json::Value;

#[test]
fn devcontainers_brings_a_container_up_and_runs_commands_in_it() {
    let engine = Engine::start();
    let program = Program::new(&engine, node());
    let work = program.home().join("work");
    fs::create_dir(&work).expect("a working directory");
    fs::write(work.join("given"), "given file\n").expect("a file");
    let script = installed("devcontainers").join("node_modules/@devcontainers/cli/devcontainer.js");
    let script = script.display().to_string();
    let config = client_files("devcontainers").join("devcontainer.json").display().to_string();
    let devcontainer = |command: &str, more: &[&str]| {
        let places = [&script, command, "--workspace-folder=work", "--config", &config];
        program.ok(&[&places, more].concat())
    };
    let up = || -> Value { serde_json::from_str(&devcontainer("up", &[])).expect("its result") };
    let first = up();
    assert_eq!(first["outcome"], "success", "{first}");
    let shown =
        devcontainer("exec", &["sh", "-c", "cat given /kept/file; hostname; echo $OF_CONTAINER $OF_REMOTE"]);
    assert_eq!(shown, "given file\ncreated\ndeveloped\ncontainer remote\n");
    assert_eq!(up()["containerId"], first["containerId"], "a container that is there is used again");
    engine.remove(first["containerId"].as_str().expect("an id"));
    let _ = engine.at("1.55").delete("/volumes/developed").expect(204);
}
