//! Configurations of networks: found, read, and their plugins in order (section 1 of the specification).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sys::bounded_read::read_on_host;

use crate::error::{Error, file_error};
use crate::version::Version;

/// The longest file of a configuration, in bytes.
const LIMIT: u64 = 1 << 20;

/// A network's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The version that its plugins are spoken to in.
    pub version: Version,
    /// Whether `CHECK` may be called.
    pub allows_check: bool,
    /// Whether `GC` may be called.
    pub allows_garbage_collection: bool,
    /// Its plugins' configurations, in order.
    pub plugins: Vec<Map<String, Value>>,
}

/// A configuration as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: Option<String>,
    cni_version: Option<String>,
    #[serde(default)]
    cni_versions: Vec<String>,
    #[serde(default)]
    disable_check: bool,
    #[serde(default, rename = "disableGC")]
    disable_garbage_collection: bool,
    #[serde(default)]
    load_only_inlined_plugins: bool,
    plugins: Option<Vec<Map<String, Value>>>,
}

impl Network {
    /// Reads the active configuration: the first of a directory in the order of names, of those that end in
    /// `.conflist`, `.conf` or `.json`; `None` without one.
    ///
    /// # Errors
    /// The directory or the file cannot be read or is malformed.
    pub fn first(directory: &Path) -> Result<Option<Self>, Error> {
        match files(directory, &["conflist", "conf", "json"])?.first() {
            Some(path) => Self::read(path).map(Some),
            None => Ok(None),
        }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let value = read_object(path)?;
        let written: Written = serde_json::from_value(Value::Object(value.clone()))
            .map_err(|error| malformed(error.to_string()))?;
        let name = written
            .name
            .filter(|name| is_name(name))
            .ok_or_else(|| malformed("it has no name".to_owned()))?;
        let versions = written.cni_versions.iter().chain(&written.cni_version).map(String::as_str);
        let version = Version::newest_of(versions).ok_or_else(|| {
            malformed("it has no version of the specification from 0.3.0 to 1.1.0".to_owned())
        })?;
        let mut plugins = match (written.plugins, value.contains_key("type")) {
            (Some(plugins), _) => plugins,
            // A file with a single plugin.
            (None, true) => vec![value],
            (None, false) => Vec::new(),
        };
        if !written.load_only_inlined_plugins {
            let beside = path.parent().map(|directory| directory.join(&name));
            for file in
                beside.map(|directory| files(&directory, &["conf"])).transpose()?.into_iter().flatten()
            {
                plugins.push(read_object(&file)?);
            }
        }
        if plugins.is_empty() {
            return Err(malformed("it has no plugins".to_owned()));
        }
        if plugins.iter().any(|plugin| plugin_name(plugin).is_none()) {
            return Err(malformed("a plugin has no type that could be a file's name".to_owned()));
        }
        Ok(Self {
            name,
            version,
            allows_check: !written.disable_check,
            allows_garbage_collection: !written.disable_garbage_collection,
            plugins,
        })
    }
}

/// The name of a plugin's program.
pub(crate) fn plugin_name(plugin: &Map<String, Value>) -> Option<&str> {
    let name = plugin.get("type")?.as_str()?;
    (!name.is_empty() && !name.contains('/') && name != "." && name != "..").then_some(name)
}

/// Whether a text may name a network or a container: it is part of paths.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    let bytes = read_on_host(path, LIMIT).map_err(file_error("read", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
}

/// The files of a directory with one of these extensions, in order; none where there is no directory.
pub(crate) fn files(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(file_error("read", directory)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(file_error("read", directory))?;
    let has_extension = |path: &PathBuf| {
        path.extension().and_then(|extension| extension.to_str()).is_some_and(|own| extensions.contains(&own))
    };
    paths.retain(|path| has_extension(path) && path.is_file());
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that is removed with the test.
    struct Directory(PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("removed");
        }
    }

    fn directory(name: &str, files: &[(&str, &str)]) -> Directory {
        let path = std::env::temp_dir().join(format!("cni-{name}-{}", std::process::id()));
        for (file, content) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
            fs::write(file, content).expect("a file");
        }
        Directory(path)
    }

    #[test]
    fn the_first_file_holds_with_the_newest_version_and_the_plugins_beside_it() {
        let list = r#"{"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "9.0.0", "1.1.0"], "name": "net", "disableGC": true,
            "plugins": [{"type": "bridge", "other": 1}]}"#;
        let files = [
            ("10-net.conflist", list),
            ("20-other.conf", "no JSON"),
            ("00-note.txt", "no configuration"),
            ("net/tuning.conf", r#"{"type": "tuning"}"#),
        ];
        let directory = directory("first", &files);
        let network = Network::first(&directory.0).expect("read").expect("a network");
        assert_eq!((network.name.as_str(), network.version), ("net", Version::V1_1_0));
        assert!(network.allows_check && !network.allows_garbage_collection);
        let types: Vec<_> = network.plugins.iter().filter_map(plugin_name).collect();
        assert_eq!(types, ["bridge", "tuning"]);
        assert_eq!(Network::first(&directory.0.join("none")).expect("read"), None);
    }

    #[test]
    fn a_file_of_one_plugin_is_a_network_and_malformed_ones_are_named() {
        let single =
            directory("single", &[("a.conf", r#"{"cniVersion": "0.3.1", "name": "n", "type": "ptp"}"#)]);
        assert_eq!(Network::first(&single.0).expect("read").expect("a network").plugins.len(), 1);
        for (number, bad) in [
            r#"{"cniVersion": "1.0.0", "name": "n"}"#,
            r#"{"cniVersion": "0.2.0", "name": "n", "type": "ptp"}"#,
            r#"{"cniVersion": "1.0.0", "name": "../n", "type": "ptp"}"#,
            r#"{"cniVersion": "1.0.0", "name": "n", "type": "../ptp"}"#,
            "[]",
        ]
        .into_iter()
        .enumerate()
        {
            let directory = directory(&format!("bad-{number}"), &[("a.conf", bad)]);
            let error = Network::first(&directory.0).expect_err(bad);
            assert!(error.to_string().contains("a.conf"), "{error}");
        }
    }
}
