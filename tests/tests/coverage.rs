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

/// One line of the table of later endpoints.
#[derive(Debug)]
struct LaterRow {
    row: Row,
    /// `21` of 1.21.
    since: u32,
}

fn later_rows() -> Vec<LaterRow> {
    let text = std::fs::read_to_string(root().join("docs/api-coverage.md")).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let endpoint = cells.get(1).filter(|_| cells.len() == 7)?.strip_prefix('`')?.strip_suffix('`')?;
        let (method, path) = endpoint.split_once(' ')?;
        let since = cells[2].strip_prefix("1.")?.parse().ok()?;
        let tests = cells[4].split(',').map(|name| name.trim().to_owned()).collect();
        let row = Row { method: method.to_owned(), path: path.to_owned(), state: cells[3].to_owned(), tests };
        Some(LaterRow { row, since })
    };
    text.lines().filter_map(row).collect()
}

/// Endpoints whose paths are names, with slashes, of another endpoint in the version before theirs.
const NAMED_BEFORE: [&str; 5] = [
    "/containers/{name}/checkpoints/{part}",
    "/plugins/privileges",
    "/plugins/{name}/json",
    "/services/{name}/logs",
    "/tasks/{name}/logs",
];

/// A sound request of a later endpoint, about a container that there is and other things that there are not.
fn later_request(row: &Row, container: &str) -> (String, &'static str) {
    let of_container = row.path.starts_with("/containers/");
    let path = row.path.replace("{name}", if of_container { container } else { "nosuch" });
    let path = path.replace("{part}", "nosuch");
    let query = match row.path.as_str() {
        "/distribution/{name}/json" => return ("/distribution/127.0.0.1:1/nosuch/json".to_owned(), ""),
        "/plugins/privileges" | "/plugins/pull" | "/plugins/{name}/upgrade" => "?remote=x",
        "/plugins/create" => "?name=x",
        "/plugins/{name}/enable" => "?timeout=1",
        path if path.ends_with("/logs") => "?stdout=1",
        path if path.ends_with("/update") && !of_container => "?version=1",
        _ => "",
    };
    let body = match (row.method.as_str(), row.path.as_str()) {
        ("GET" | "DELETE", _) => "",
        (_, "/plugins/{name}/set" | "/plugins/{name}/upgrade" | "/plugins/pull") => "[]",
        (_, "/swarm/join") => r#"{"ListenAddr":"127.0.0.1:1","RemoteAddrs":["127.0.0.1:1"],"JoinToken":"x"}"#,
        _ => "{}",
    };
    (path + query, body)
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
    // Without those of Go's own profiler, and /build/cancel, which no specification has.
    assert_eq!(later_rows().len(), 66, "those up to 1.55 have so many more");
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

#[test]
fn the_states_of_later_endpoints_are_true() {
    let engine = Engine::start();
    let container = engine.run(&sh("sleep 600"));
    for LaterRow { row, since } in later_rows() {
        let (path, body) = later_request(&row, &container);
        let headers = [("Content-Type", "application/json")];
        let ask = |version: u32| {
            engine.at(&format!("1.{version}")).call(&row.method, &path, &headers, body.as_bytes())
        };
        let answer = ask(55);
        let (status, text) = (answer.status(), answer.text());
        let place = format!("{} {}: {status} {text}", row.method, row.path);
        assert!(!text.contains("page not found"), "{place}");
        match row.state.as_str() {
            "complete" | "partial" => assert!(![405, 501, 503].contains(&status), "{place}"),
            "refused" => assert_eq!(status, 501, "{place}"),
            "no swarm" => assert_eq!(status, 503, "{place}"),
            "no plugins" => assert!(status == 404 && text.contains("plugin"), "{place}"),
            other => panic!("{place}: what does {other:?} mean?"),
        }
        if !NAMED_BEFORE.contains(&row.path.as_str()) {
            let before = ask(since - 1);
            let text = before.text();
            assert!(before.status() == 404 && text.contains("page not found"), "{place}; before: {text}");
        }
    }
    let _ = engine.at("1.55").post("/volumes/prune").expect(200);
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
    for row in rows().into_iter().chain(later_rows().into_iter().map(|later| later.row)) {
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
    let id = engine.create(&sh("true"));
    let listed: BTreeSet<String> = settings().into_iter().flat_map(|(fields, _)| fields).collect();
    for version in ["1.20", "1.55"] {
        let inspected = engine.at(version).get(&format!("/containers/{id}/json")).expect(200).json();
        for part in ["Config", "HostConfig"] {
            for field in inspected[part].as_object().expect("an object").keys() {
                assert!(listed.contains(field), "{part}.{field} of {version} is not on the page");
            }
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

/// The lines of a part of the page of all parameters and fields: a title, names, and what stands beside them.
fn fields(part: &str) -> Vec<(String, Vec<String>, String)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let title = cells.get(1).filter(|cell| cells.len() == 5 && cell.starts_with('`'))?;
        let names = cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((title.trim_matches('`').to_owned(), names, cells[3].to_owned()))
    };
    part.lines().filter_map(row).collect()
}

/// Whether tests send or read what has this name: a key or a string in quotes, a parameter of a query, a part of a template. The word in
/// a comment or in a sentence does not count.
fn is_sent_or_read(text: &str, name: &str) -> bool {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices(name).map(move |(at, _)| (&line[..at], &line[at + name.len()..])))
        .any(|(before, after)| {
            let is_quoted = before.ends_with('"') && after.starts_with(['"', '=', ':', '&', '\\']);
            is_quoted || (before.ends_with(['?', '&', '/', '.']) && !after.starts_with(is_of_word))
        })
}

#[test]
fn every_field_is_in_a_test_or_has_a_reason() {
    let page = std::fs::read_to_string(root().join("docs/api-fields.md")).expect("the page");
    let (there, left_out) = page.split_once("## Left out").expect("both parts");
    let (there, left_out) = (fields(there), fields(left_out));
    let count = there.iter().chain(&left_out).map(|(_, names, _)| names.len()).sum::<usize>();
    assert_eq!(count, 779, "the specification has so many");
    let golden = std::fs::read_dir(root().join("tests/tests/golden/today")).expect("the golden answers");
    let golden: String =
        golden.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect();
    for (title, names, tests) in &there {
        let text = |test: &str| match test {
            "golden_today" => golden.clone() + &sources("tests/tests", test),
            test => sources("tests/tests", test),
        };
        let texts: String = tests.split(", ").map(text).collect();
        for name in names {
            assert!(is_sent_or_read(&texts, name), "{title}: none of {tests} sends or reads {name}");
        }
    }
    assert!(left_out.iter().all(|(_, _, reason)| !reason.is_empty()));
}
