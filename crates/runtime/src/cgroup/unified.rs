//! Settings of cgroup version 2 that are given by the names of their files.

use std::collections::BTreeMap;
use std::io;

use super::{Cgroup, file};
use crate::CgroupError;

impl Cgroup {
    /// Writes files that their readers have checked to be a controller's.
    pub(super) fn set_files(&self, files: &BTreeMap<String, String>) -> Result<(), CgroupError> {
        let available = |name: &str| self.unified().filter(|directory| directory.join(name).exists());
        files.iter().try_for_each(|(name, value)| match available(name) {
            Some(directory) => file::write(directory, name, value),
            None => Err(missing(name)),
        })
    }
}

fn missing(name: &str) -> CgroupError {
    let source = io::Error::from(io::ErrorKind::Unsupported);
    CgroupError::new(format!("setting {name}, which cgroup version 2 of this host does not have"), source)
}
