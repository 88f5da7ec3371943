//! Limits of huge pages, a size of pages each.

use std::io;
use std::path::Path;

use model::Resources;

use super::{Cgroup, file};
use crate::CgroupError;

/// The controller, of both versions.
const CONTROLLER: &str = "hugetlb";

impl Cgroup {
    /// Limits what is used of huge pages, and what is reserved of them where the kernel counts that too (since 5.7). No
    /// pages of a size are no limit on a host that has no controller for them.
    pub(super) fn limit_huge_pages(&self, resources: &Resources) -> Result<(), CgroupError> {
        let limits = &resources.huge_pages;
        if limits.is_empty() {
            return Ok(());
        }
        let (directory, limit) = match self.legacy(CONTROLLER) {
            Some(directory) => (Some(directory), "limit_in_bytes"),
            None => (self.unified(), "max"),
        };
        let is_there = |directory: &Path, name: &str| directory.join(name).exists();
        if limits.values().any(|bytes| *bytes > 0) && self.legacy(CONTROLLER).is_none() {
            self.hand_down(&[CONTROLLER])?;
        }
        for (size, bytes) in limits {
            let names = ["", "rsvd."].map(|kind| format!("{CONTROLLER}.{size}.{kind}{limit}"));
            match directory.filter(|directory| is_there(directory, &names[0])) {
                Some(directory) => {
                    for name in names.iter().filter(|name| is_there(directory, name)) {
                        file::write(directory, name, &bytes.to_string())?;
                    }
                }
                None if *bytes == 0 => {}
                None => return Err(missing(size)),
            }
        }
        Ok(())
    }
}

fn missing(size: &str) -> CgroupError {
    let source = io::Error::from(io::ErrorKind::Unsupported);
    CgroupError::new(format!("limiting huge pages of {size}, which this host's cgroups do not count"), source)
}
