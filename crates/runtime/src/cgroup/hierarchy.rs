//! Which cgroup hierarchies a host has mounted: v1, hybrid or v2.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::{CgroupError, Host};

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// Its kind.
    pub(crate) kind: Kind,
}

/// The kind of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Version 1 with these controllers; a named one (`name=systemd`) has none.
    Legacy(Vec<String>),
    /// Version 2.
    Unified,
}

impl Hierarchy {
    /// Its name beneath the root of all, `cpu,cpuacct`; empty when it is the root itself.
    pub(crate) fn name(&self, root: &Path) -> Option<&str> {
        self.mount.strip_prefix(root).ok()?.to_str().filter(|name| !name.contains('/'))
    }
}

/// The cgroup hierarchies of a host.
#[derive(Debug, Clone)]
pub struct Hierarchies(pub(super) Vec<Hierarchy>);

impl Hierarchies {
    /// Reads them from the table of mounts.
    ///
    /// # Errors
    /// When the host has none mounted.
    pub fn find(host: &Host) -> Result<Self, CgroupError> {
        detect(host).map(Self)
    }
}

pub(super) fn detect(host: &Host) -> Result<Vec<Hierarchy>, CgroupError> {
    let path = host.proc.join("self/mountinfo");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| CgroupError::new(format!("open {}", path.display()), source))?;
    let found = parse(&text, &host.cgroup);
    if found.is_empty() {
        let source = std::io::Error::other("no cgroup hierarchy is mounted there");
        return Err(CgroupError::new(format!("finding cgroups at {}", host.cgroup.display()), source));
    }
    Ok(found)
}

fn parse(table: &str, root: &Path) -> Vec<Hierarchy> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for mount in sys::mount_table::parse(table).filter(|mount| mount.point.starts_with(root)) {
        let kind = match mount.kind {
            "cgroup2" => Kind::Unified,
            "cgroup" => Kind::Legacy(controllers(mount.options)),
            _ => continue,
        };
        if seen.insert(mount.device) {
            found.push(Hierarchy { mount: mount.point, kind });
        }
    }
    found
}

/// Everything in the options that is no word of the file system's own.
fn controllers(options: &str) -> Vec<String> {
    let own = ["rw", "ro", "none", "noprefix", "clone_children", "xattr", "cpuset_v2_mode", "favordynmods"];
    options.split(',').filter(|word| !own.contains(word) && !word.contains('=')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_and_joint_controllers() {
        let text = "\
30 1 0:26 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 1 0:29 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct
35 30 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
";
        let root = Path::new("/sys/fs/cgroup");
        let found = parse(text, root);
        let kinds: Vec<_> = found.iter().map(|hierarchy| (hierarchy.name(root), &hierarchy.kind)).collect();
        let joint = Kind::Legacy(vec!["cpu".into(), "cpuacct".into()]);
        assert_eq!(
            kinds,
            [
                (Some("unified"), &Kind::Unified),
                (Some("systemd"), &Kind::Legacy(vec![])),
                (Some("cpu,cpuacct"), &joint)
            ]
        );
    }

    #[test]
    fn version_two_alone_is_the_root_itself() {
        let text = "29 20 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let root = Path::new("/sys/fs/cgroup");
        let found = parse(text, root);
        assert_eq!(found, [Hierarchy { mount: root.into(), kind: Kind::Unified }]);
        assert_eq!(found[0].name(root), Some(""));
    }
}
