//! Whole answers in the versions after 1.20, as `golden/` keeps those before. `golden/today/<answer>.<version>.json` exists
//! where the answer differs from that of the version before in this list: its files show what a version changed.
//! `BERTH_GOLDEN=write` replaces them.

mod builds;
mod containers;
mod execs;
mod files;
mod images;
mod networks;
mod registries;
mod swarms;
mod system;
mod volumes;

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::Engine;
use berth_tests::golden::{self, Request, answer, kinds};
use serde_json::Value;

/// What clients of today and of the years between speak.
const VERSIONS: [&str; 8] = ["1.21", "1.24", "1.30", "1.40", "1.44", "1.48", "1.52", "1.55"];

fn place(name: &str, version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/today/{name}.{version}.json"))
}

/// Compares an answer with the kept one in each version.
fn check(name: &str, ask: impl Fn(&str) -> Value) {
    let requests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/requests_today.json");
    let mut before = None;
    for version in VERSIONS {
        let mut seen = ask(version);
        golden::check_request(&requests, name, &mut seen);
        let seen = serde_json::to_string_pretty(&seen).expect("JSON") + "\n";
        let place = place(name, version);
        let differs = before.as_ref() != Some(&seen);
        match (golden::writes(), differs) {
            (true, true) => fs::write(&place, &seen).expect("a golden answer"),
            (true, false) => drop(fs::remove_file(&place)),
            (false, true) => {
                let kept = fs::read_to_string(&place)
                    .unwrap_or_else(|error| panic!("{}: {error}: {seen}", place.display()));
                assert_eq!(seen, kept, "{name} in {version}: BERTH_GOLDEN=write keeps the new answer");
            }
            (false, false) => assert!(!place.exists(), "{name} in {version} differed from the one before"),
        }
        before = Some(seen);
    }
}

/// Compares the answers to requests without a body, by their names.
fn check_all(engine: &Engine, requests: &[(&str, &str, &str)]) {
    for (name, method, path) in requests {
        check(name, |version| answer(engine, version, &Request::new(method, path)));
    }
}

/// Compares the answers to requests with a body of JSON, by their names.
fn check_posts(engine: &Engine, requests: &[(&str, &str, Value)]) {
    for (name, path, body) in requests {
        check(name, |version| answer(engine, version, &Request::json(path, body)));
    }
}

/// Compares the kinds of an answer's fields alone: the values are the host's.
fn check_kinds(engine: &Engine, name: &str, path: &str) {
    check(name, |version| {
        let mut seen = answer(engine, version, &Request::new("GET", path));
        seen["body"] = kinds(&seen["body"]);
        seen
    });
}

/// The path of events from the beginning to the next second.
fn past_events() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    format!("/events?since=1&until={}", now.as_secs() + 1)
}
