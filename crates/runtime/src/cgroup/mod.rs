//! A container's control groups on cgroup v1, hybrid and v2 hosts.
//!
//! The container has one directory in every mounted hierarchy, `<hierarchy>/berth/<id>`, whether
//! or not the hierarchy limits anything, so that everything in it is found again. Where systemd keeps
//! it, the directory is that of a scope in a slice.

mod devices;
pub(crate) mod enter;
mod file;
pub(crate) mod freezer;
pub(crate) mod hierarchy;
mod huge_pages;
mod limits;
mod make;
pub(crate) mod memory_notice;
mod remove;
mod statistics;
mod unified;

use std::path::{Path, PathBuf};

use model::{CgroupParent, ContainerSpec, Resources};

use crate::root::cgroup_view::CgroupLayout;
use crate::root::host_devices::Node;
use crate::{CgroupError, Host};
use hierarchy::{Hierarchies, Hierarchy, Kind};

/// The group above containers that name none.
const DEFAULT_PARENT: &str = "berth";

/// The directories of one container, one a hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    hierarchies: Vec<Hierarchy>,
    directories: Vec<PathBuf>,
    parent: PathBuf,
    /// Whether the groups above are made for containers, and removed with the last of them.
    owns_parents: bool,
    root: PathBuf,
    proc: PathBuf,
}

impl Cgroup {
    /// Names the directories of a container without touching them: to make them, or to find those
    /// of a container whose shim is gone.
    ///
    /// # Errors
    /// When the host has no cgroups mounted.
    pub fn of(host: &Host, spec: &ContainerSpec) -> Result<Self, CgroupError> {
        Ok(Self::within(Hierarchies::find(host)?, host, spec))
    }

    /// The same, with the host's hierarchies found already.
    #[must_use]
    pub fn within(Hierarchies(hierarchies): Hierarchies, host: &Host, spec: &ContainerSpec) -> Self {
        let parent = spec.cgroup_parent.as_ref().map_or(Path::new(DEFAULT_PARENT), CgroupParent::relative);
        let parent = parent.to_path_buf();
        let name = spec.scope.as_deref().unwrap_or(spec.id.as_str());
        let directories =
            hierarchies.iter().map(|hierarchy| hierarchy.mount.join(&parent).join(name)).collect();
        let owns_parents = !spec.keeps_cgroup_parents && parent != Path::new(DEFAULT_PARENT);
        let (root, proc) = (host.cgroup.clone(), host.proc.clone());
        Self { hierarchies, directories, parent, owns_parents, root, proc }
    }

    /// Absolute paths of all directories.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Whether the host has nothing but v2.
    pub(crate) fn is_unified(&self) -> bool {
        self.hierarchies.iter().all(|hierarchy| hierarchy.kind == Kind::Unified)
    }

    /// The directory of the v2 hierarchy.
    pub(crate) fn unified(&self) -> Option<&Path> {
        self.find(|kind| *kind == Kind::Unified)
    }

    /// The directory of the v1 hierarchy with this controller.
    pub(crate) fn legacy(&self, controller: &str) -> Option<&Path> {
        self.find(|kind| match kind {
            Kind::Legacy(controllers) => controllers.iter().any(|known| known == controller),
            Kind::Unified => false,
        })
    }

    fn find(&self, wanted: impl Fn(&Kind) -> bool) -> Option<&Path> {
        let mut pairs = self.hierarchies.iter().zip(&self.directories);
        pairs.find(|(hierarchy, _)| wanted(&hierarchy.kind)).map(|(_, directory)| directory.as_path())
    }

    /// How the container sees them.
    pub(crate) fn layout(&self) -> CgroupLayout {
        let mut layout = CgroupLayout::default();
        for (hierarchy, directory) in self.hierarchies.iter().zip(&self.directories) {
            let Some(name) = hierarchy.name(&self.root) else { continue };
            layout.directories.push((name.to_owned(), directory.clone()));
            if let Kind::Legacy(controllers) = &hierarchy.kind
                && controllers.len() > 1
            {
                let links = controllers.iter().map(|link| (link.clone(), name.to_owned()));
                layout.links.extend(links);
            }
        }
        layout
    }

    /// Sets limits and devices of a new container.
    pub(crate) fn limit(&self, spec: &ContainerSpec, devices: &[Node]) -> Result<(), CgroupError> {
        self.set_limits(&spec.resources)?;
        self.restrict_devices(spec, devices)
    }

    /// Changes limits; `None` fields stay as they are.
    ///
    /// # Errors
    /// When the kernel refuses a value.
    pub fn update(&self, resources: &Resources) -> Result<(), CgroupError> {
        self.set_limits(resources)
    }
}

#[cfg(test)]
mod tests;
