//! A project of twelve services that Compose brings up and takes down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::{Engine, IMAGE, LABEL};
use crate::sample::{Sample, middle, timed};

const PROJECT: &str = "berth-bench-compose";
/// How often the project comes and goes; the medians count.
const ROUNDS: usize = 5;

/// The dependencies of services, as in a shop of several parts, and their networks.
const SERVICES: [(&str, &[&str], &[&str]); 12] = [
    ("database", &[], &["back"]),
    ("cache", &[], &["back"]),
    ("queue", &[], &["back"]),
    ("search", &[], &["back"]),
    ("accounts", &["database", "cache"], &["back"]),
    ("orders", &["database", "queue"], &["back"]),
    ("stock", &["database", "search"], &["back"]),
    ("mail", &["queue"], &["back"]),
    ("jobs", &["queue", "cache"], &["back"]),
    ("gateway", &["accounts", "orders", "stock"], &["front", "back"]),
    ("shop", &["gateway"], &["front"]),
    ("desk", &["gateway"], &["front"]),
];
/// Those that keep data in a volume.
const KEEPING: [&str; 3] = ["database", "queue", "search"];
/// Those with a published port.
const PUBLISHING: [&str; 2] = ["shop", "desk"];

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let Some(program) = &arguments.compose else { return Ok(Vec::new()) };
    let directory = std::env::temp_dir().join(format!("{PROJECT}-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let file = directory.join("compose.json");
    fs::write(&file, project().to_string())?;
    let compose = Compose { program, engine, file: &file, directory: &directory };
    let measured = rounds(&compose);
    let ended = compose.run(&["down", "--volumes", "--timeout", "0"]);
    fs::remove_dir_all(&directory)?;
    let samples = measured?;
    ended?;
    Ok(samples)
}

/// The file; Compose reads JSON as the YAML that it is.
fn project() -> serde_json::Value {
    let services: serde_json::Map<String, serde_json::Value> = SERVICES
        .iter()
        .map(|(name, needed, networks)| {
            let mut service = json!({
                "image": IMAGE, "command": ["sleep", "3600"], "labels": { LABEL: "1" },
                "depends_on": needed, "networks": networks, "environment": { "NAME": name },
            });
            if KEEPING.contains(name) {
                service["volumes"] = json!([format!("{name}:/data")]);
            }
            if PUBLISHING.contains(name) {
                service["ports"] = json!(["80"]);
            }
            ((*name).to_owned(), service)
        })
        .collect();
    let volumes: serde_json::Map<String, serde_json::Value> =
        KEEPING.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    json!({
        "name": PROJECT, "services": services, "volumes": volumes, "networks": { "front": {}, "back": {} },
    })
}

/// One that does not count comes first.
fn rounds(compose: &Compose<'_>) -> anyhow::Result<Vec<Sample>> {
    let (mut ups, mut agains, mut downs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let up = timed(|| compose.run(&["up", "--detach"]))?;
        compose.all_run()?;
        let again = timed(|| compose.run(&["up", "--detach"]))?;
        let down = timed(|| compose.run(&["down", "--volumes", "--timeout", "0"]))?;
        if round > 0 {
            ups.push(up);
            agains.push(again);
            downs.push(down);
        }
    }
    let count = SERVICES.len();
    Ok(vec![
        Sample::milliseconds(&format!("compose up, {count} services"), middle(&ups)),
        Sample::milliseconds(&format!("compose up, {count} services that run"), middle(&agains)),
        Sample::milliseconds(&format!("compose down, {count} services"), middle(&downs)),
    ])
}

/// The program, with the engine that it talks to.
struct Compose<'a> {
    program: &'a PathBuf,
    engine: &'a Engine,
    file: &'a Path,
    directory: &'a Path,
}

impl Compose<'_> {
    /// Runs a command that must succeed.
    fn run(&self, command: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(self.program)
            .args(["--progress", "quiet", "--file"])
            .arg(self.file)
            .args(command)
            .env("DOCKER_HOST", self.engine.host())
            .env("HOME", self.directory)
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "compose {}: {}: {}",
            command.join(" "),
            output.status,
            stderr.trim()
        );
        Ok(())
    }

    fn all_run(&self) -> anyhow::Result<()> {
        let filters = format!("{{\"label\":[\"com.docker.compose.project={PROJECT}\"]}}");
        let path = format!("/containers/json{}", berth_tests::query(&[("filters", &filters)]));
        let listed = self.engine.session().ask("GET", &path, None)?.json();
        let running = listed.as_array().map_or(0, Vec::len);
        ensure!(running == SERVICES.len(), "{running} of {} services run", SERVICES.len());
        Ok(())
    }
}
