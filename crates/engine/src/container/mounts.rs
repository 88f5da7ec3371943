//! `Binds`, `Volumes`, `VolumesFrom` and `Mounts` as they are asked for: parsing and its errors.

use std::path::{Component, Path, PathBuf};

use model::{BindMount, Propagation};

use crate::error::Error;

/// The words that a mount's mode may hold; of each row one.
const MODES: [&[&str]; 5] = [
    &["ro", "rw"],
    &["z", "Z"],
    &["private", "rprivate", "slave", "rslave", "shared", "rshared"],
    &[NO_COPY],
    // They matter to virtual machines alone: here both sides always see the same.
    &["consistent", "cached", "delegated"],
];

/// Leaves a new volume empty, whatever the image has at its place.
const NO_COPY: &str = "nocopy";

/// The longest name of a file, NAME_MAX of limits.h.
const LONGEST_NAME: usize = 255;

/// Parses one entry of `Binds`: `source:destination[:mode]`.
///
/// # Errors
/// Refused, in the reference's words, when it is malformed.
pub(crate) fn parse_bind(text: &str) -> Result<BindMount, Error> {
    let invalid = || Error::refused(format!("Invalid volume specification: {text}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(invalid()),
    };
    check_mode(mode)?;
    if !destination.is_empty() && !destination.starts_with('/') {
        return Err(Error::refused(format!(
            "Invalid volume specification: {text}: the destination must be an absolute path"
        )));
    }
    let destination = clean(destination);
    if destination == Path::new("/") {
        return Err(Error::system("mounting into / is prohibited"));
    }
    if source.is_empty() {
        return Err(Error::refused("Unable to setup mount point, neither source nor volume defined"));
    }
    let source = if source.starts_with('/') {
        if !copies_up(mode) {
            return Err(invalid_mode(mode));
        }
        clean(source).to_string_lossy().into_owned()
    } else {
        check_volume_name(source)?;
        source.to_owned()
    };
    Ok(BindMount { source, destination: destination.to_string_lossy().into_owned(), mode: mode.to_owned() })
}

/// Checks a mode: known words, none twice and none against another.
///
/// # Errors
/// Refused, in the reference's words.
pub(crate) fn check_mode(mode: &str) -> Result<(), Error> {
    let mut taken = [false; MODES.len()];
    for word in mode.split(',').filter(|_| !mode.is_empty()) {
        let row = MODES.iter().position(|row| row.contains(&word));
        match row {
            Some(row) if !taken[row] => taken[row] = true,
            _ => return Err(invalid_mode(mode)),
        }
    }
    Ok(())
}

fn invalid_mode(mode: &str) -> Error {
    Error::refused(format!("invalid mode for volumes-from: {mode}"))
}

/// Whether a new volume gets what the image has at its place.
pub(crate) fn copies_up(mode: &str) -> bool {
    !mode.split(',').any(|word| word == NO_COPY)
}

/// Checks the name of a volume.
///
/// # Errors
/// Refused when a character is not allowed, or there are too many.
pub(crate) fn check_volume_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first
        && name.len() <= LONGEST_NAME
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    {
        return Ok(());
    }
    Err(Error::refused(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
    )))
}

/// Parses one entry of `VolumesFrom`: `container[:mode]`.
///
/// # Errors
/// Refused, in the reference's words, when it is malformed.
pub(crate) fn parse_volumes_from(text: &str) -> Result<(String, Option<String>), Error> {
    if text.is_empty() {
        return Err(Error::refused("malformed volumes-from specification: "));
    }
    let Some((container, mode)) = text.split_once(':') else { return Ok((text.to_owned(), None)) };
    if !matches!(mode, "ro" | "rw" | "z" | "Z" | "ro,z" | "ro,Z" | "rw,z" | "rw,Z" | "z,ro" | "Z,ro") {
        return Err(invalid_mode(mode));
    }
    if container.is_empty() {
        return Err(Error::refused("Prefix can't be empty"));
    }
    Ok((container.to_owned(), Some(mode.to_owned())))
}

/// Whether a mode leaves a mount writable.
pub(crate) fn is_writable(mode: &str) -> bool {
    !mode.split(',').any(|word| word == "ro")
}

/// How mounts beneath travel, as a mode says it.
pub(crate) fn propagation(mode: &str) -> Propagation {
    mode.split(',')
        .find_map(|word| match word {
            "private" => Some(Propagation::Private),
            "rprivate" => Some(Propagation::RecursivePrivate),
            "slave" => Some(Propagation::Slave),
            "rslave" => Some(Propagation::RecursiveSlave),
            "shared" => Some(Propagation::Shared),
            "rshared" => Some(Propagation::RecursiveShared),
            _ => None,
        })
        .unwrap_or_default()
}

/// Makes a path absolute and removes `.`, `..` and doubled slashes, by its text alone.
pub(crate) fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Whether a bind's source is a path of the host, not a volume's name.
pub(crate) fn is_host_path(source: &str) -> bool {
    source.starts_with('/')
}

/// Refuses two mounts on one place.
pub(crate) fn check_duplicate(planned: &[model::MountPoint], destination: &str) -> Result<(), Error> {
    let destination = clean(destination);
    if planned.iter().any(|mount| clean(&mount.destination) == destination) {
        return Err(Error::refused(format!("Duplicate bind mount {}", destination.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds() {
        let bind = parse_bind("/a//b/:/x/../y:ro").expect("a bind");
        assert_eq!(
            (bind.source.as_str(), bind.destination.as_str(), bind.mode.as_str()),
            ("/a/b", "/y", "ro")
        );
        assert_eq!(parse_bind("named:/v").expect("a volume").source, "named");
        for bad in
            ["", "/tmp", "/tmp:/x:ro:rw", "/tmp:/x:foo", "/tmp:/x/..", "a/b:/x", ":/x", "/tmp:/x:ro,rw"]
        {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
        for bad in ["../up:/x", "/tmp:/x:shared,slave", "/tmp:/x:nocopy", "/tmp:/x:ro,,Z", "n:/x:ro,ro"] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
        assert!(parse_bind(&format!("{}:/x", "n".repeat(256))).is_err());
        for good in ["a:/x", "n:/x:ro,nocopy", "/tmp:/x:ro,Z,rslave", "/tmp:/x:cached"] {
            assert!(parse_bind(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn volumes_from() {
        assert_eq!(parse_volumes_from("c").expect("plain"), ("c".to_owned(), None));
        assert_eq!(parse_volumes_from("c:ro").expect("read-only"), ("c".to_owned(), Some("ro".to_owned())));
        for bad in ["", ":ro", "c:foo", "a:b:c"] {
            assert!(parse_volumes_from(bad).is_err(), "{bad}");
        }
    }
}
