//! The result of a build, as text by which two engines' results can be compared.
//!
//! Left out is what no two builds have in common: times of building, digests of layers, ids of an engine's own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::registry::digest;
use crate::tarball::{self, Entry};

/// The image that all cases begin with, which each machine makes of its own programs.
#[derive(Debug)]
pub struct BaseImage {
    layers: Vec<Value>,
    history: Vec<Value>,
}

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Warnings with the lines that they are about, sorted.
    pub warnings: Vec<String>,
    /// The error, or the image.
    pub result: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(formatter, "warning: {warning}")?;
        }
        writeln!(formatter, "{}", self.result)
    }
}

/// An image as `docker save` writes it: its configuration and its layers' archives.
fn read(saved: &[u8]) -> (Value, Vec<Vec<u8>>) {
    let members = tarball::entries(saved);
    let content = |name: &str| &members.get(name).unwrap_or_else(|| panic!("no {name}")).content;
    let json = |name: &str| serde_json::from_slice::<Value>(content(name)).expect("JSON");
    let manifest = json("manifest.json")[0].clone();
    let layers = list(&manifest["Layers"]);
    let layers = layers.iter().map(|name| plain(content(name.as_str().expect("a name")))).collect();
    (json(manifest["Config"].as_str().expect("a name")), layers)
}

fn plain(layer: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match layer {
        [0x1f, 0x8b, ..] => drop(GzDecoder::new(layer).read_to_end(&mut bytes).expect("gzip")),
        _ => bytes.extend_from_slice(layer),
    }
    bytes
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

impl BaseImage {
    /// Reads it as `docker save` writes it.
    ///
    /// # Panics
    /// When it is not an image.
    #[must_use]
    pub fn of(saved: &[u8]) -> Self {
        let (config, _) = read(saved);
        Self { layers: list(&config["rootfs"]["diff_ids"]), history: list(&config["history"]) }
    }

    /// Describes an image: what it has beyond this one.
    ///
    /// # Panics
    /// When it is not an image.
    #[must_use]
    pub fn describe(&self, saved: &[u8]) -> String {
        let (mut config, layers) = read(saved);
        let is_above = list(&config["rootfs"]["diff_ids"]).starts_with(&self.layers);
        let (below, entries) = if is_above { (self.layers.len(), self.history.len()) } else { (0, 0) };
        let history = list(&config["history"]).split_off(entries);
        config["history"] = history.into_iter().map(|entry| without(entry, &["created"])).collect();
        // The last two are what engines that also build in the classic way keep for themselves.
        let config = without(config, &["created", "rootfs", "container_config", "berth.build.steps"]);
        let mut text = serde_json::to_string_pretty(&filled(config)).expect("JSON");
        for layer in &layers[below..] {
            text.push_str("\nlayer");
            tarball::entries(layer).iter().for_each(|(path, entry)| text.push_str(&line(path, entry)));
        }
        text
    }
}

/// A value without empty fields: whether those are written at all does not matter.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, filled(value)));
            fields.filter(|(_, value)| !is_empty(value)).collect()
        }
        Value::Array(values) => values.into_iter().map(filled).collect(),
        value => value,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(_) | Value::Bool(true) | Value::Number(_) => false,
    }
}

fn without(mut value: Value, names: &[&str]) -> Value {
    if let Some(fields) = value.as_object_mut() {
        names.iter().for_each(|name| drop(fields.remove(*name)));
    }
    value
}

/// `KIND MODE OWNER:GROUP PATH`, and what only some have.
fn line(path: &str, entry: &Entry) -> String {
    let kind = match entry.kind {
        tar::EntryType::Directory => 'd',
        tar::EntryType::Symlink => 'l',
        tar::EntryType::Link => 'h',
        tar::EntryType::Regular => 'f',
        _ => '?',
    };
    let (mode, (user, group)) = (entry.mode & 0o7777, entry.owner);
    let mut line = format!("\n{kind} {mode:04o} {user}:{group} {path}");
    if let Some(target) = &entry.link {
        line.push_str(&format!(" -> {target}"));
    }
    if !entry.content.is_empty() {
        line.push_str(&format!(" {} {}", entry.content.len(), &digest(&entry.content)[7..19]));
    }
    // Older ones come from contexts, archives and servers; this build's own time is no matter.
    if entry.time < 1_600_000_000 {
        line.push_str(&format!(" at {}", entry.time));
    }
    for (name, value) in &entry.attributes {
        line.push_str(&format!(" {name}={}", digest(value)));
    }
    line
}

/// Reads a file of results.
///
/// # Panics
/// When it is malformed.
#[must_use]
pub fn results(text: &str) -> BTreeMap<String, String> {
    let results = text.split("\n=== ").map(|result| result.trim_start_matches("=== "));
    let results = results.filter_map(|result| result.split_once('\n'));
    results.map(|(name, text)| (name.to_owned(), format!("{}\n", text.trim_end()))).collect()
}

/// Where BuildKit's daemon has the files of a step while it makes them: a number and the path follow.
const PEER_MOUNTS: &str = "/cachemounts/buildkit";

/// An error's text as clients show it (with `Code: ` before it where the code is meaningful) without what only
/// this build has: ids of references, and directories of the daemon.
#[must_use]
pub fn error(text: &str) -> String {
    let words =
        text.split(' ').map(|word| match word.split_once("::") {
            Some((one, other)) if is_id(one) && is_id(other.trim_end_matches(':')) => {
                if other.ends_with(':') { "REFERENCE:" } else { "REFERENCE" }
            }
            _ => within_step(word).unwrap_or(word),
        });
    let text = words.collect::<Vec<_>>().join(" ");
    format!("error: {}", text.replace("failed to calculate checksum of ref REFERENCE: ", ""))
}

/// The path that a step has for a file of the daemon.
fn within_step(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once(PEER_MOUNTS)?;
    rest.find('/').map(|start| &rest[start..])
}

fn is_id(text: &str) -> bool {
    text.len() == 25 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
