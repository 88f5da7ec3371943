//! Compose 5 brings a project up, changes it and takes it down.

use std::path::PathBuf;
use std::process::Command;

use berth_tests::{Engine, client_files, installed, wait};
use serde_json::{Value, json};

struct Compose<'a> {
    engine: &'a Engine,
    project: PathBuf,
}

impl Compose<'_> {
    /// Runs a command that must succeed and gives its output.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = Command::new(installed("compose").join("bin/docker-compose"))
            .args(arguments)
            .current_dir(&self.project)
            .env("DOCKER_HOST", format!("unix://{}", self.engine.socket().display()))
            .env("DOCKER_BUILDKIT", "0")
            .env("HOME", &self.project)
            .output()
            .expect("compose runs");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}: {stdout}\n{stderr}", output.status);
        stdout.into_owned()
    }

    /// The services' containers that run.
    fn running(&self) -> Vec<String> {
        let listed = self.ok(&["ps", "--format", "{{.Service}}"]);
        let mut services: Vec<String> = listed.lines().map(str::to_owned).collect();
        services.sort();
        services
    }
}

#[test]
fn a_project_comes_changes_and_goes() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let compose = Compose { engine: &engine, project: client_files("compose") };
    compose.ok(&["up", "--detach"]);
    assert_eq!(compose.running(), ["app", "db", "many", "many"]);
    wait::until("all that it writes", || {
        (compose.ok(&["logs", "--no-log-prefix", "app"]) == "kept\nsecret\nset\nbuilt\n").then_some(())
    });
    let app = today.get("/containers/demo-app-1/json").expect(200).json();
    let networks = &app["NetworkSettings"]["Networks"];
    assert_eq!(networks["demo_back"]["IPAddress"], "10.77.0.50");
    assert!(networks["demo_front"]["IPAddress"].as_str().is_some_and(|address| !address.is_empty()));
    let db = today.get("/containers/demo-db-1/json").expect(200).json();
    assert_eq!(db["State"]["Health"]["Status"], "healthy");
    assert_eq!(compose.ok(&["exec", "-T", "app", "cat", "/config"]), "set\n");
    assert_eq!(compose.ok(&["--profile", "extra", "run", "--rm", "extra"]).trim(), "of a profile");
    let before = app["Id"].clone();
    compose.ok(&["up", "--detach", "--scale", "many=3"]);
    assert_eq!(compose.running(), ["app", "db", "many", "many", "many"]);
    let same = today.get("/containers/demo-app-1/json").expect(200).json();
    assert_eq!(same["Id"], before, "what has not changed is not made again");
    compose.ok(&["pause", "many"]);
    compose.ok(&["unpause", "many"]);
    compose.ok(&["restart", "app"]);
    compose.ok(&["stop", "many"]);
    assert_eq!(compose.running(), ["app", "db"]);
    compose.ok(&["start", "many"]);
    assert_eq!(compose.running(), ["app", "db", "many", "many", "many"]);
    compose.ok(&["cp", "token", "app:/copied"]);
    assert_eq!(compose.ok(&["exec", "-T", "app", "cat", "/copied"]), "secret\n");
    compose.ok(&["down", "--volumes", "--rmi", "local"]);
    assert_eq!(today.get("/containers/json?all=1").expect(200).json(), json!([]));
    assert_eq!(today.get("/volumes").expect(200).json()["Volumes"], Value::Array(Vec::new()));
    let names: Vec<Value> = today
        .get("/networks")
        .expect(200)
        .json()
        .as_array()
        .expect("networks")
        .iter()
        .map(|network| network["Name"].clone())
        .collect();
    assert_eq!(names.len(), 3, "the predefined ones are left: {names:?}");
    engine.forget_builds();
}
