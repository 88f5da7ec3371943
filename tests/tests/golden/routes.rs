//! Each route of the table has an answer that is kept, in a version up to 1.20 and in one after it where it is in both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The last version whose answers are kept here; those of later ones are in `today/`.
const LAST: u32 = 20;

/// No version is later.
const LAST_OF_TODAY: u32 = 100;

/// A row of the route table.
#[derive(Debug)]
struct Route {
    method: String,
    path: String,
    /// `21` of 1.21.
    since: u32,
    /// The first version that does not have it any more.
    until: u32,
}

/// The routes that a source file declares: `get("/path", handler!(…)).since(21).until(24),`.
fn declared(text: &str) -> Vec<Route> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for method in ["get", "head", "post", "put", "delete"] {
        let call = format!("{method}(\"");
        for (at, _) in text.match_indices(&call) {
            let Some((path, behind)) = text[at + call.len()..].split_once("\", handler!(") else { continue };
            let is_route = path.starts_with('/') && !path.contains(['"', '\n']);
            // Up to the next row, or the table's end.
            let row = behind.split("handler!(").next().unwrap_or_default();
            let row = row.split("];").next().unwrap_or_default();
            let bound = |name: &str| {
                let (_, number) = row.split_once(&format!(".{name}("))?;
                number.split(')').next()?.parse().ok()
            };
            if is_route {
                found.push(Route {
                    method: method.to_uppercase(),
                    path: path.to_owned(),
                    since: bound("since").unwrap_or(0),
                    until: bound("until").unwrap_or(u32::MAX),
                });
            }
        }
    }
    found
}

fn read(directory: &Path, routes: &mut Vec<Route>) {
    for entry in fs::read_dir(directory).expect("a directory of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, routes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            routes.extend(declared(&fs::read_to_string(&path).expect("a source file")));
        }
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The requests of a list, by the names of their answers.
fn requests(list: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(tests().join(list)).expect("the list of requests");
    serde_json::from_str(&text).expect("names and requests")
}

impl Route {
    /// Whether it is the route of a request: `GET /path`. A name at a path's end is one segment.
    fn has(&self, request: &str) -> bool {
        let Some((method, path)) = request.split_once(' ') else { return false };
        let path = path.replacen("/checkpoints/nosuch", "/checkpoints/{part}", 1);
        let fits = match self.path.split_once("{name}") {
            None => path == self.path,
            Some((before, "")) => {
                path.strip_prefix(before).is_some_and(|name| !name.is_empty() && !name.contains('/'))
            }
            Some((before, behind)) => {
                let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
                name.is_some_and(|name| !name.is_empty())
            }
        };
        method == self.method && fits
    }

    /// Whether one of the answers kept in a directory is one of this route, in the last version that has it. Where a version
    /// has no file, its answer is that of the one before.
    fn is_kept(&self, directory: &Path, last: u32, requests: &BTreeMap<String, String>) -> bool {
        let last = last.min(self.until - 1);
        let mut names = requests.iter().filter(|(_, request)| self.has(request)).map(|(name, _)| name);
        names.any(|name| {
            let mut versions =
                (1..=last).rev().map(|version| directory.join(format!("{name}.1.{version}.json")));
            versions
                .find_map(|file| fs::read_to_string(file).ok())
                .is_some_and(|text| !is_unknown_path(&text))
        })
    }
}

/// Whether an answer is that of an unknown path.
fn is_unknown_path(answer: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    answer["status"] == 404 && answer["body"].to_string().contains("page not found")
}

#[test]
fn every_route_has_an_answer_that_is_kept() {
    let mut routes = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/docker-api/src");
    read(&sources, &mut routes);
    assert!(routes.len() > 100, "the table was not read: {routes:?}");
    let (first, today) = (requests("requests.json"), requests("requests_today.json"));
    let mut missing = Vec::new();
    for route in &routes {
        if route.since <= LAST && !route.is_kept(&tests(), LAST, &first) {
            missing.push(format!("up to 1.{LAST}: {route:?}"));
        }
        if route.until > LAST + 1 && !route.is_kept(&tests().join("today"), LAST_OF_TODAY, &today) {
            missing.push(format!("after 1.{LAST}: {route:?}"));
        }
    }
    assert!(missing.is_empty(), "no answer is kept of:\n{}", missing.join("\n"));
}

#[test]
fn every_answer_that_is_kept_has_its_request_in_the_list() {
    for (list, directory) in [("requests.json", tests()), ("requests_today.json", tests().join("today"))] {
        let listed: BTreeSet<String> = requests(list).into_keys().collect();
        let files = fs::read_dir(directory).expect("the answers").flatten();
        let names = files.filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            name.strip_suffix(".json")?.rsplit_once(".1.").map(|(answer, _)| answer.to_owned())
        });
        assert_eq!(names.collect::<BTreeSet<_>>(), listed, "{list}");
    }
}

#[test]
fn rows_of_the_route_table_are_read() {
    let text = "    get(\"/a\", handler!(call => a(&call))),\n    post(\"/b/{name}\", handler!(call => b(call).await))\n        .since(21)\n        .until(25),\n";
    let routes = declared(text);
    let shown: Vec<_> =
        routes.iter().map(|route| (route.method.as_str(), route.since, route.until)).collect();
    assert_eq!(shown, [("GET", 0, u32::MAX), ("POST", 21, 25)]);
    assert!(routes[1].has("POST /b/x") && !routes[1].has("POST /b/x/y") && !routes[1].has("GET /b/x"));
}
