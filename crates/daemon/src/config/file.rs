//! The configuration file, and how it joins the command line: each setting may be in one of them only.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::flags::Flags;

/// The default path of the file; it need not exist.
const DEFAULT_FILE: &str = "/etc/berth/daemon.json";

/// The configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is not a JSON object of known settings.
    #[error("the configuration file {} is not valid", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    /// It sets what the command line sets too.
    #[error("these settings are given both as a flag and in the configuration file {}: {}", path.display(), settings.join(", "))]
    Conflict { path: PathBuf, settings: Vec<String> },
}

/// Reads the file; the default one may be missing.
pub(super) fn read(path: &Path) -> Result<Flags, FileError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new(DEFAULT_FILE) => {
            return Ok(Flags::default());
        }
        Err(source) => return Err(FileError::Read { path: path.into(), source }),
    };
    if text.trim_ascii().is_empty() {
        return Ok(Flags::default());
    }
    serde_json::from_slice(&text).map_err(|source| FileError::Parse { path: path.into(), source })
}

/// Merges the command line and the file.
pub(super) fn join(flags: &Flags, file: &Flags, path: &Path) -> Result<Flags, FileError> {
    let (mut joined, from_file) = (as_map(flags), as_map(file));
    let settings: Vec<_> = from_file.keys().filter(|name| joined.contains_key(*name)).cloned().collect();
    if !settings.is_empty() {
        return Err(FileError::Conflict { path: path.into(), settings });
    }
    joined.extend(from_file);
    serde_json::from_value(Value::Object(joined))
        .map_err(|source| FileError::Parse { path: path.into(), source })
}

/// Only what is set: unset fields are not serialised.
fn as_map(flags: &Flags) -> Map<String, Value> {
    match serde_json::to_value(flags) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Flags {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn names_are_those_of_the_flags_and_of_dockerd() {
        let file = parse(
            r#"{"hosts":["unix:///x"],"labels":["a=b"],"log-opts":{"max-size":"1m"},"registry-mirrors":["http://m"],
                "insecure-registry":["h"],"graph":"/g","icc":false,"mtu":1400,"default-ulimit":["nofile=1:2"]}"#,
        );
        assert_eq!(file.host, ["unix:///x"]);
        assert_eq!(file.log_opt, [("max-size".to_owned(), "1m".to_owned())]);
        assert_eq!((file.icc, file.mtu, file.data_root), (Some(false), Some(1400), Some("/g".into())));
        assert!(serde_json::from_str::<Flags>(r#"{"hosst":[]}"#).is_err());
        assert!(serde_json::from_str::<Flags>(r#"{"debug":"yes"}"#).is_err());
    }

    #[test]
    fn joined_unless_both_say_it() {
        let path = Path::new("/f");
        let joined = join(&parse(r#"{"debug":true}"#), &parse(r#"{"label":["a=b"]}"#), path).expect("joined");
        assert_eq!(joined, parse(r#"{"debug":true,"label":["a=b"]}"#));
        let both =
            join(&parse(r#"{"label":["c=d"],"mtu":1}"#), &parse(r#"{"labels":["a=b"],"mtu":1}"#), path);
        let text = both.expect_err("conflict").to_string();
        assert!(text.ends_with("label, mtu"), "{text}");
    }
}
