//! Compose 1.29, which is written in Python and on docker-py, with files of each version.

use berth_tests::{Engine, Program, client_files};
use serde_json::{Value, json};

/// Where Debian's package `docker-compose` puts it.
const COMPOSE: &str = "/usr/bin/docker-compose";

/// A project of a file of `tests/clients/compose-1/`.
struct Project<'a> {
    program: Program<'a>,
    file: String,
}

impl<'a> Project<'a> {
    fn new(engine: &'a Engine, name: &str) -> Self {
        let file = client_files("compose-1").join(format!("{name}.yaml")).display().to_string();
        Self { program: Program::new(engine, COMPOSE).with("COMPOSE_PROJECT_NAME", "demo"), file }
    }

    fn ok(&self, arguments: &[&str]) -> String {
        self.program.ok(&[&["--no-ansi", "--file", &self.file], arguments].concat())
    }
}

/// Checks that nothing of a project is left.
fn is_gone(engine: &Engine) {
    let today = engine.at("1.55");
    assert_eq!(today.get("/containers/json?all=1").expect(200).json(), json!([]));
    assert_eq!(today.get("/volumes").expect(200).json()["Volumes"], json!([]));
    let networks = today.get("/networks").expect(200).json();
    assert_eq!(networks.as_array().map(Vec::len), Some(3), "the predefined ones are left: {networks}");
}

/// The names of the containers that run.
fn running(engine: &Engine) -> Vec<String> {
    let listed = engine.get("/containers/json").expect(200).json();
    let name = |container: &Value| container["Names"][0].as_str().expect("a name").to_owned();
    let mut names: Vec<String> = listed.as_array().expect("a list").iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn files_of_version_1_link_their_containers() {
    let engine = Engine::start();
    let project = Project::new(&engine, "version1");
    assert_eq!(project.ok(&["run", "--rm", "-T", "reader"]), "linked\n");
    assert_eq!(running(&engine), ["/demo_page_1"]);
    let _ = project.ok(&["down", "--timeout=0"]);
    is_gone(&engine);
}

#[test]
fn files_of_version_2_wait_for_health_and_have_networks_and_volumes() {
    let engine = Engine::start();
    let project = Project::new(&engine, "version2");
    let _ = project.ok(&["up", "--detach"]);
    let names = ["/demo_many_1", "/demo_many_2", "/demo_page_1", "/demo_reader_1"];
    assert_eq!(running(&engine), names);
    assert_eq!(project.ok(&["exec", "-T", "reader", "wget", "-qO-", "http://10.78.0.50/page"]), "kept\n");
    let reader = engine.inspect("demo_reader_1");
    assert_eq!(reader["HostConfig"]["Memory"], 64 << 20);
    let _ = project.ok(&["up", "--detach", "--scale=many=1"]);
    assert_eq!(running(&engine), ["/demo_many_1", "/demo_page_1", "/demo_reader_1"]);
    assert_eq!(engine.inspect("demo_reader_1")["Id"], reader["Id"], "what has not changed is not made again");
    let _ = project.ok(&["down", "--volumes"]);
    is_gone(&engine);
}

#[test]
fn files_of_version_3_build_and_have_secrets_and_ports() {
    let engine = Engine::start();
    let project = Project::new(&engine, "version3");
    let _ = project.ok(&["up", "--detach", "--build"]);
    assert!(project.ok(&["port", "app", "80"]).starts_with("0.0.0.0:"));
    let logs = || project.ok(&["logs", "--no-log-prefix", "app"]);
    let wanted = |logs: String| logs.ends_with("built\nsecret\n").then_some(());
    berth_tests::wait::until("the log", || wanted(logs()));
    let _ = project.ok(&["restart", "app"]);
    assert_eq!(running(&engine), ["/demo_app_1"]);
    let _ = project.ok(&["down", "--rmi=local"]);
    is_gone(&engine);
    engine.forget_builds();
}
