//! Whole answers, with what each run has of its own masked: ids, times, places on the host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Engine, merged, sh};

/// The variable by which a run replaces what is kept by what it sees.
const VARIABLE: &str = "BERTH_GOLDEN";

/// The field of an answer that names its request.
const REQUEST: &str = "request";

/// The header in which `/archive` describes a file.
const FILE_HEADER: &str = "X-Docker-Container-Path-Stat";

/// Whether this run replaces what is kept.
#[must_use]
pub fn writes() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| value == "write")
}

/// Takes the request out of an answer and compares it with the one that a list has for answers of this name; so the
/// list shows which endpoints have an answer.
///
/// # Panics
/// When the list has another one.
pub fn check_request(list: &Path, name: &str, answer: &mut Value) {
    static LIST: Mutex<()> = Mutex::new(());
    let request =
        answer.as_object_mut().and_then(|fields| fields.remove(REQUEST)).expect("an answer's request");
    let _alone = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(list).unwrap_or_else(|_| "{}".to_owned());
    let mut kept: BTreeMap<String, Value> = serde_json::from_str(&text).expect("the list of requests");
    if kept.get(name) == Some(&request) {
        return;
    }
    assert!(writes(), "{name} answers {request}, kept is {:?}: {VARIABLE}=write keeps it", kept.get(name));
    let _ = kept.insert(name.to_owned(), request);
    let text = serde_json::to_string_pretty(&kept).expect("JSON") + "\n";
    std::fs::write(list, text).expect("the list of requests");
}

/// A request without the version that it is for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    method: &'a str,
    path: &'a str,
    content_type: Option<&'a str>,
    body: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    #[must_use]
    pub const fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, content_type: None, body: Vec::new() }
    }

    /// Sends it with another method than `POST`.
    pub const fn set_method(&mut self, method: &'a str) {
        self.method = method;
    }

    /// A `POST` of JSON.
    #[must_use]
    pub fn json(path: &'a str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { method: "POST", path, content_type: Some("application/json"), body }
    }

    /// A `POST` of an archive.
    #[must_use]
    pub fn archive(path: &'a str, body: &[u8]) -> Self {
        Self { method: "POST", path, content_type: Some("application/x-tar"), body: body.to_owned() }
    }
}

/// Status, content type and body of an answer in one version, masked; of an archive the names in it. Beside them the request
/// that it answers.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn answer(engine: &Engine, version: &str, request: &Request<'_>) -> Value {
    let Request { method, path, content_type, body } = request;
    let mut connection = engine.connect();
    let headers: Vec<(&str, &str)> = content_type.map(|kind| ("Content-Type", kind)).into_iter().collect();
    connection.request(method, &format!("/v{version}{path}"), &headers, body).expect("a request");
    let head = connection.read_head().expect("an answer");
    let body = connection.read_body(method, &head).expect("a body");
    let of_text = || {
        let text = String::from_utf8_lossy(&body).into_owned();
        serde_json::from_str(&text).ok().or_else(|| objects(&text)).unwrap_or(Value::String(text))
    };
    let content = names_in(&body).unwrap_or_else(of_text);
    let kind = head.header("content-type").unwrap_or_default();
    let place = path.split('?').next().unwrap_or_default();
    let request = format!("{method} {}", masked_text(engine, place));
    let mut seen = json!({
        REQUEST: request, "status": head.status, "content-type": kind, "body": masked(engine, "", content),
    });
    if let Some(file) = head.header(FILE_HEADER) {
        let file = STANDARD.decode(file).expect("base64");
        seen["file"] = masked(engine, "", serde_json::from_slice(&file).expect("JSON"));
    }
    seen
}

/// The names of the entries of an archive, sorted; `None` for another body.
fn names_in(body: &[u8]) -> Option<Value> {
    // The magic of a header, tar(5).
    (body.get(257..262)? == b"ustar").then_some(())?;
    let mut archive = tar::Archive::new(body);
    let entries = archive.entries().expect("an archive");
    let names = entries.map(|entry| {
        let entry = entry.expect("an entry");
        Value::String(entry.path().expect("a name").display().to_string())
    });
    let mut names: Vec<Value> = names.collect();
    names.sort_by_key(Value::to_string);
    Some(Value::Array(names))
}

/// The objects of a stream of them, one a line.
fn objects(text: &str) -> Option<Value> {
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.ok().filter(|lines| !lines.is_empty()).map(Value::Array)
}

/// Fields whose numbers differ from run to run, or from host to host.
const SIZES_AND_TIMES: [&str; 10] = [
    "Content",
    "Created",
    "LayersSize",
    "Size",
    "Total",
    "Unpacked",
    "VirtualSize",
    "size",
    "time",
    "timeNano",
];

/// The body without what differs from run to run: ids, times, places on the host.
fn masked(engine: &Engine, field: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let value = masked(engine, &name, value);
                    (masked_text(engine, &name), value)
                })
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| masked(engine, field, item)).collect())
        }
        Value::String(text) => Value::String(match field {
            "LowerDir" | "RootDir" => "PLACES".to_owned(),
            "CgroupnsMode" | "execDuration" => "HOST".to_owned(),
            "mtime" => "TIME".to_owned(),
            _ => masked_text(engine, &text),
        }),
        Value::Number(number) if SIZES_AND_TIMES.contains(&field) => {
            Value::String(if number.as_u64() == Some(0) { "0" } else { "NUMBER" }.to_owned())
        }
        other => other,
    }
}

fn masked_text(engine: &Engine, text: &str) -> String {
    let text = text.replace(&engine.directory().display().to_string(), "DIRECTORY");
    let mut masked = String::new();
    let mut word = String::new();
    let end_word = |word: &mut String, masked: &mut String| {
        let digits = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        masked.push_str(match word.len() {
            64 if digits => "ID",
            12 if digits => "SHORT",
            _ => word,
        });
        word.clear();
    };
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
        } else {
            end_word(&mut word, &mut masked);
            masked.push(letter);
        }
    }
    end_word(&mut word, &mut masked);
    // The end of a push.
    if let Some((before, size)) = masked.rsplit_once(" size: ")
        && size.bytes().all(|byte| byte.is_ascii_digit())
    {
        return format!("{before} size: NUMBER");
    }
    if is_time(&masked) && !masked.starts_with("0001-") { "TIME".to_owned() } else { masked }
}

/// Whether a text is a time of RFC 3339.
fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().take(11).map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "0000-00-00T" && text.ends_with('Z')
}

/// A container with something in most of its fields.
#[must_use]
pub fn settled() -> Value {
    merged(
        sh("true"),
        json!({
            "Hostname": "web", "Env": ["A=b"], "Labels": { "kind": "golden" }, "ExposedPorts": { "80/tcp": {} },
            "Volumes": { "/data": {} },
            "HostConfig": { "Memory": 67_108_864, "CpuShares": 512, "CpusetCpus": "0" },
        }),
    )
}

/// What kind of thing each field holds: the values are the host's.
#[must_use]
pub fn kinds(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), kinds(value))).collect(),
        Value::Array(items) => Value::Array(items.first().map(kinds).into_iter().collect()),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("truth"),
        Value::Null => Value::Null,
    }
}
