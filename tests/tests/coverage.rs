//! Holds `docs/api-coverage.md` to the truth: what it calls missing is missing, what it calls there is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use berth_tests::{Engine, sh};

/// One line of the page.
#[derive(Debug)]
struct Row {
    method: String,
    path: String,
    state: String,
    tests: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/api-coverage.md")).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (method, path) = cells
            .get(1)
            .filter(|_| cells.len() == 6)?
            .strip_prefix('`')?
            .strip_suffix('`')?
            .split_once(' ')?;
        let tests = cells[3].split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Some(Row {
            method: method.to_owned(),
            path: path.to_owned(),
            state: cells[2].to_owned(),
            tests: tests.collect(),
        })
    };
    text.lines().filter_map(row).collect()
}

/// A request that reaches the endpoint's own code and comes back at once.
fn request(row: &Row) -> (String, &'static [u8]) {
    let path = row.path.replace("{name}", "nosuch");
    match row.path.as_str() {
        "/events" => (format!("{path}?since=1&until=2"), b""),
        "/images/search" => (format!("{path}?term=127.0.0.1:1/x"), b""),
        "/images/{name}/push" => ("/images/127.0.0.1:1/nosuch/push".to_owned(), b""),
        "/auth" => {
            (path, b"{\"serveraddress\":\"http://127.0.0.1:1/\",\"username\":\"u\",\"password\":\"p\"}")
        }
        _ => (path, b""),
    }
}

#[test]
fn every_endpoint_is_listed() {
    assert_eq!(rows().len(), 46, "the specification has 46 endpoints");
}

#[test]
fn the_states_are_true() {
    let engine = Engine::start();
    for row in rows() {
        let (path, body) = request(&row);
        let headers = [("Content-Type", "application/json")];
        let status = engine.call(&row.method, &path, &headers, body).status();
        let missing = match row.state.as_str() {
            "complete" | "partial" => false,
            "not yet" => true,
            other => panic!("{} {}: what does {other:?} mean?", row.method, row.path),
        };
        assert_eq!(
            status == 501,
            missing,
            "{} {} is called {:?} and answers {status}",
            row.method,
            row.path,
            row.state
        );
        assert_ne!(status, 405, "{} {}", row.method, row.path);
    }
}

/// The text of a test: a file, or all files of a directory.
fn sources(directory: &str, name: &str) -> String {
    let path = root().join(directory).join(name);
    let files = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.chain([path.with_extension("rs")]);
    files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

#[test]
fn what_is_complete_has_tests() {
    for row in rows() {
        let complete = row.state == "complete";
        assert!(!complete || !row.tests.is_empty(), "{} {} has no test", row.method, row.path);
        for name in &row.tests {
            assert!(!sources("tests/tests", name).is_empty(), "{} {}: no test {name}", row.method, row.path);
        }
    }
}

/// The lines of the tables of settings: fields, and the tests that prove what they do.
fn settings() -> Vec<(Vec<String>, Vec<String>)> {
    let text = std::fs::read_to_string(root().join("docs/api-coverage.md")).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let fields = cells.get(1).filter(|cell| cells.len() == 5 && cell.starts_with('`'))?;
        let fields = fields.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((fields, cells[3].split(", ").map(str::to_owned).collect()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn every_setting_is_listed() {
    let engine = Engine::start();
    let inspected = engine.inspect(&engine.create(&sh("true")));
    let listed: BTreeSet<String> = settings().into_iter().flat_map(|(fields, _)| fields).collect();
    for part in ["Config", "HostConfig"] {
        for field in inspected[part].as_object().expect("an object").keys() {
            assert!(listed.contains(field), "{part}.{field} is not on the page");
        }
    }
}

#[test]
fn every_setting_has_tests() {
    for (fields, tests) in settings() {
        assert!(!tests.is_empty(), "{fields:?}");
        for test in tests {
            let (directory, name) = match test.strip_prefix("runtime ") {
                Some(name) => ("crates/runtime/tests/containers", name),
                None => ("tests/tests", test.as_str()),
            };
            let (file, function) = name.split_once("::").unwrap_or((name, ""));
            assert!(
                sources(directory, file).contains(&format!("fn {function}")),
                "{fields:?}: there is no test {test}"
            );
        }
    }
}
