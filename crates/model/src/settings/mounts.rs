//! The requested mounts of a container: binds, volumes, another container's mounts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clean_path::clean;
use super::{ContainerReference, SettingError, Spelled, VolumeDriverChoice};
use crate::{Owners, Propagation, Submounts};

/// The longest name of a file, NAME_MAX of limits.h.
const LONGEST_NAME: usize = 255;

/// How something is mounted: `ro,z`. Of each kind of word there is at most one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountMode {
    /// `ro` or `rw`.
    pub access: Option<Access>,
    /// `z` or `Z`.
    pub relabel: Option<Relabel>,
    /// How mounts beneath travel.
    pub propagation: Option<Propagation>,
    /// `nocopy`: a new volume stays empty, whatever the image has at its place.
    pub no_copy: bool,
    /// How quickly host and container see each other's changes: always at once.
    pub consistency: Option<Consistency>,
}

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Whether one container or several may use a mount under SELinux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Relabel {
    Shared,
    Private,
}

/// Matters only to engines in virtual machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the API's")]
pub enum Consistency {
    Consistent,
    Cached,
    Delegated,
}

impl MountMode {
    /// Whether it leaves a mount writable.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        !matches!(self.access, Some(Access::ReadOnly))
    }
}

/// Sets the value of an option, once.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

impl MountMode {
    fn take(&mut self, word: &str) -> Option<()> {
        match word {
            "ro" => set(&mut self.access, Access::ReadOnly),
            "rw" => set(&mut self.access, Access::ReadWrite),
            "z" => set(&mut self.relabel, Relabel::Shared),
            "Z" => set(&mut self.relabel, Relabel::Private),
            "nocopy" => (!std::mem::replace(&mut self.no_copy, true)).then_some(()),
            "consistent" => set(&mut self.consistency, Consistency::Consistent),
            "cached" => set(&mut self.consistency, Consistency::Cached),
            "delegated" => set(&mut self.consistency, Consistency::Delegated),
            word => set(&mut self.propagation, word.parse().ok()?),
        }
    }
}

impl FromStr for MountMode {
    type Err = SettingError;

    /// Parses options, none twice and without contradictions.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let mut mode = Self::default();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            mode.take(word).ok_or_else(|| SettingError::MountMode(text.to_owned()))?;
        }
        Ok(mode)
    }
}

impl fmt::Display for MountMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = self.access.map(|access| match access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        });
        let relabel = self.relabel.map(|relabel| match relabel {
            Relabel::Shared => "z",
            Relabel::Private => "Z",
        });
        let consistency = self.consistency.map(|consistency| match consistency {
            Consistency::Consistent => "consistent",
            Consistency::Cached => "cached",
            Consistency::Delegated => "delegated",
        });
        let propagation = self.propagation.map(Propagation::word);
        let no_copy = self.no_copy.then_some("nocopy");
        let words = [access, relabel, propagation, no_copy, consistency];
        for (place, word) in words.into_iter().flatten().enumerate() {
            let separator = if place == 0 { "" } else { "," };
            write!(formatter, "{separator}{word}")?;
        }
        Ok(())
    }
}

/// A bind: `source:destination[:mode]`, or `destination` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The source.
    pub source: BindSource,
    /// An absolute path in the container.
    pub destination: String,
    /// How.
    pub mode: Spelled<MountMode>,
}

/// The source of a bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// An absolute path of the host.
    Path(String),
    /// A volume, by its name.
    Volume(String),
    /// A new volume without a name.
    Anonymous,
}

impl FromStr for Bind {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, mode) = match parts[..] {
            [destination] if destination.starts_with('/') => (None, destination, ""),
            [source, destination] => (Some(source), destination, ""),
            [source, destination, mode] => (Some(source), destination, mode),
            _ => return Err(SettingError::Bind(text.to_owned())),
        };
        let parsed = Spelled::<MountMode>::parse(mode)?;
        if !destination.is_empty() && !destination.starts_with('/') {
            return Err(SettingError::RelativeDestination(text.to_owned()));
        }
        let destination = clean(destination);
        if destination == Path::new("/") {
            return Err(SettingError::MountOnRoot);
        }
        let source = match source {
            None => BindSource::Anonymous,
            Some("") => return Err(SettingError::NoMountSource),
            Some(path) if path.starts_with('/') => {
                if parsed.no_copy {
                    return Err(SettingError::MountMode(mode.to_owned()));
                }
                BindSource::Path(clean(path).to_string_lossy().into_owned())
            }
            Some(name) => BindSource::Volume(check_volume_name(name)?.to_owned()),
        };
        Ok(Self { source, destination: destination.to_string_lossy().into_owned(), mode: parsed })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            BindSource::Path(source) | BindSource::Volume(source) => write!(formatter, "{source}:")?,
            BindSource::Anonymous => {}
        }
        formatter.write_str(&self.destination)?;
        let mode = self.mode.to_string();
        if mode.is_empty() { Ok(()) } else { write!(formatter, ":{mode}") }
    }
}

/// Checks the name of a volume.
///
/// # Errors
/// When a character is not allowed, or there are too many.
pub fn check_volume_name(name: &str) -> Result<&str, SettingError> {
    let mut bytes = name.bytes();
    let is_name = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() <= LONGEST_NAME
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    is_name.then_some(name).ok_or_else(|| SettingError::VolumeName(name.to_owned()))
}

/// Another container whose mounts are taken over: `container[:mode]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// The container.
    pub container: ContainerReference,
    /// How they are mounted; as there when `None`.
    pub mode: Option<Spelled<MountMode>>,
}

impl FromStr for VolumesFrom {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.is_empty() {
            return Err(SettingError::EmptyVolumesFrom);
        }
        let Some((container, mode)) = text.split_once(':') else {
            return Ok(Self { container: ContainerReference(text.to_owned()), mode: None });
        };
        let refused = || SettingError::MountMode(mode.to_owned());
        let parsed = Spelled::<MountMode>::parse(mode).map_err(|_| refused())?;
        // The reference takes these words alone, and not in each order.
        let is_known = parsed.propagation.is_none()
            && !parsed.no_copy
            && parsed.consistency.is_none()
            && !matches!(mode, "" | "z,rw" | "Z,rw");
        if !is_known {
            return Err(refused());
        }
        if container.is_empty() {
            return Err(SettingError::EmptyReference);
        }
        Ok(Self { container: ContainerReference(container.to_owned()), mode: Some(parsed) })
    }
}

impl fmt::Display for VolumesFrom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.container.as_str())?;
        match &self.mode {
            Some(mode) => write!(formatter, ":{mode}"),
            None => Ok(()),
        }
    }
}

/// A mount with separate fields instead of one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Its place in the container, as it was given.
    pub target: String,
    /// Whether it is read-only.
    pub read_only: bool,
    /// The kind of mount.
    pub kind: MountKind,
    /// How the client wrote it as JSON, where that is not the usual way; for display alone.
    pub written: Option<serde_json::Value>,
}

/// The kind of a [`MountRequest`], with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A directory or file of the host.
    Bind {
        /// Its path.
        source: String,
        /// How mounts beneath travel.
        propagation: Option<Propagation>,
        /// Whether a source that does not exist is made.
        make_source: bool,
        /// Whether what is mounted beneath the source comes along.
        #[serde(default)]
        submounts: Submounts,
        /// Whether what is mounted beneath stays writable where the bind is read-only.
        #[serde(default)]
        writable_submounts: bool,
        /// How the owners of its files are mapped, in a container with a user namespace of its own.
        #[serde(default)]
        owners: Owners,
    },
    /// A volume.
    Volume {
        /// Its name; `None` is an anonymous one.
        name: Option<String>,
        /// Whether it stays empty, whatever the image has at its place.
        no_copy: bool,
        /// The labels of a new volume.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// The driver that stores its content; empty is the default one.
        #[serde(default)]
        driver: VolumeDriverChoice,
        /// The driver's options.
        #[serde(default)]
        options: BTreeMap<String, String>,
        /// The part of it that is mounted, a path within it; empty is all of it.
        #[serde(default)]
        subpath: String,
    },
    /// A new file system in memory.
    Tmpfs {
        /// Bytes at most; half of the memory when `None`, the default of tmpfs(5).
        size: Option<u64>,
        /// The permissions of its root.
        mode: Option<u64>,
        /// Whether programs in it can run.
        #[serde(default)]
        executable: bool,
    },
    /// The files of an image, read-only.
    Image {
        /// The image's name or id.
        image: String,
        /// The part of it that is mounted, a path within it; empty is all of it.
        subpath: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds() {
        let bind: Bind = "/a//b/:/x/../y:ro".parse().expect("a bind");
        assert_eq!((&bind.source, bind.destination.as_str()), (&BindSource::Path("/a/b".to_owned()), "/y"));
        assert!(!bind.mode.is_writable());
        let volume: Bind = "named:/v".parse().expect("a volume");
        assert_eq!(volume.source, BindSource::Volume("named".to_owned()));
        let anonymous: Bind = "/tmp".parse().expect("a place");
        assert_eq!(
            (anonymous.source.clone(), anonymous.to_string()),
            (BindSource::Anonymous, "/tmp".to_owned())
        );
        for bad in
            ["", "tmp", "/", "/tmp:/x:ro:rw", "/tmp:/x:foo", "/tmp:/x/..", "a/b:/x", ":/x", "/tmp:/x:ro,rw"]
        {
            assert!(bad.parse::<Bind>().is_err(), "{bad}");
        }
        for bad in ["../up:/x", "/tmp:/x:shared,slave", "/tmp:/x:nocopy", "/tmp:/x:ro,,Z", "n:/x:ro,ro"] {
            assert!(bad.parse::<Bind>().is_err(), "{bad}");
        }
        assert!(format!("{}:/x", "n".repeat(256)).parse::<Bind>().is_err());
        for good in
            ["a:/x", "n:/x:ro,nocopy", "/tmp:/x:ro,Z,rslave", "/tmp:/x:cached", "/tmp:/x:z,ro", "a://x/"]
        {
            assert_eq!(Spelled::<Bind>::parse(good).expect(good).to_string(), good);
        }
    }

    #[test]
    fn volumes_from() {
        let plain: VolumesFrom = "c".parse().expect("plain");
        assert_eq!((plain.container.as_str(), plain.mode), ("c", None));
        for good in ["c", "c:ro", "c:z,ro", "c:rw,Z"] {
            assert_eq!(good.parse::<VolumesFrom>().expect(good).to_string(), good);
        }
        for bad in ["", ":ro", "c:", "c:foo", "a:b:c", "c:ro,rslave", "c:nocopy", "c:z,rw"] {
            assert!(bad.parse::<VolumesFrom>().is_err(), "{bad}");
        }
    }
}
