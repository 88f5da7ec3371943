//! An attachment: a pod's interface in a network, as it is saved.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sys::bounded_read::read_on_host;

use crate::error::{Error, file_error};
use crate::network::{Network, files, is_name};
use crate::result::addresses;

/// The longest saved attachment, in bytes: a configuration and a result.
const LIMIT: u64 = 8 << 20;
/// The extension of an attachment's file while it is written.
const UNFINISHED: &str = "new";
/// The name of the interface in a pod.
const INTERFACE: &str = "eth0";

/// A pod's requested attachment to a network, and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The pod's id.
    pub container: String,
    /// The interface's name in it.
    pub interface: String,
    /// The network, as its configuration was when the pod was added: it is deleted by the same.
    pub network: Network,
    /// `CNI_ARGS`, in order.
    pub arguments: Vec<(String, String)>,
    /// The arguments for plugins with a capability, by the capability.
    pub capabilities: Map<String, Value>,
    /// The last plugin's result; none until all of them have run.
    pub result: Option<Value>,
}

impl Attachment {
    /// An attachment that is to be added.
    #[must_use]
    pub fn new(
        container: impl Into<String>,
        network: Network,
        arguments: Vec<(String, String)>,
        capabilities: Map<String, Value>,
    ) -> Self {
        let (container, interface) = (container.into(), INTERFACE.to_owned());
        Self { container, interface, network, arguments, capabilities, result: None }
    }

    /// The addresses that the pod has, in the result's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.result.as_ref().map(addresses).unwrap_or_default()
    }

    /// Reads what was saved for a pod; nothing when it has no attachment.
    pub(crate) fn load(directory: &Path, container: &str) -> Result<Option<Self>, Error> {
        let Some(path) = path(directory, container) else { return Ok(None) };
        match read_on_host(&path, LIMIT) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::Malformed { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path)(error)),
        }
    }

    /// Saves it, so that it is there after a crash of the host too.
    pub(crate) fn save(&self, directory: &Path) -> Result<(), Error> {
        let invalid = || Error::Malformed {
            path: directory.to_owned(),
            reason: format!("{:?} is no name for a file", self.container),
        };
        let path = path(directory, &self.container).ok_or_else(invalid)?;
        let temporary = path.with_extension(UNFINISHED);
        fs::create_dir_all(directory).map_err(file_error("make", directory))?;
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(directory)?.sync_all()
        };
        let written = write();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(file_error("write", &path))
    }

    /// Deletes its file.
    pub(crate) fn forget(&self, directory: &Path) -> Result<(), Error> {
        let Some(path) = path(directory, &self.container) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The pods that have an attachment.
pub(crate) fn saved(directory: &Path) -> Result<Vec<String>, Error> {
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    Ok(files(directory, &["json"])?.into_iter().filter_map(stem).collect())
}

/// Removes files that a process left half written when it died. No writer may be active.
pub(crate) fn remove_unfinished(directory: &Path) -> Result<(), Error> {
    for path in files(directory, &[UNFINISHED])? {
        fs::remove_file(&path).map_err(file_error("remove", &path))?;
    }
    Ok(())
}

fn path(directory: &Path, container: &str) -> Option<PathBuf> {
    is_name(container).then(|| directory.join(format!("{container}.json")))
}
