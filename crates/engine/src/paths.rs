//! Where the engine's files are.

use std::path::PathBuf;

use model::{ContainerId, LogDriver};
use shim_protocol::RunDirectory;

use crate::options::Options;
use crate::record::Record;

/// The places beneath the data root and the exec root.
pub(crate) struct Paths {
    data_root: PathBuf,
    exec_root: PathBuf,
}

impl Paths {
    pub(crate) fn new(options: &Options) -> Self {
        Self { data_root: options.data_root.clone(), exec_root: options.exec_root.clone() }
    }

    /// The directory of all containers' own files.
    pub(crate) fn containers(&self) -> PathBuf {
        self.data_root.join("containers")
    }

    /// The directory of a container's own files.
    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// A container's own layer.
    pub(crate) fn upper(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("upper")
    }

    /// A container's json-file log.
    pub(crate) fn log(&self, record: &Record) -> PathBuf {
        let kind = if record.settings.host.log.driver == Some(LogDriver::Local) { "local" } else { "json" };
        self.container(&record.id).join(format!("{}-{kind}.log", record.id))
    }

    /// A container's hosts file.
    pub(crate) fn hosts(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("hosts")
    }

    /// A container's resolv.conf.
    pub(crate) fn resolv_conf(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("resolv.conf")
    }

    /// The directory of what pods got of networks of plugins.
    pub(crate) fn pod_networks(&self) -> PathBuf {
        self.data_root.join("pod-networks")
    }

    /// The directory of all run directories.
    pub(crate) fn runs(&self) -> PathBuf {
        self.exec_root.join("containers")
    }

    /// The directory that a container's shim works in.
    pub(crate) fn run(&self, id: &ContainerId) -> RunDirectory {
        RunDirectory::new(&self.exec_root, id)
    }

    /// Where files wait for their deletion.
    pub(crate) fn trash(&self) -> PathBuf {
        self.data_root.join("trash")
    }

    /// The directory of all volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.data_root.join("volumes")
    }

    /// The layer below all others of a build's step.
    pub(crate) fn base_layer(&self) -> PathBuf {
        self.data_root.join("base-layer")
    }

    /// The files of builds in progress, and those kept for later builds.
    pub(crate) fn builds(&self) -> PathBuf {
        self.data_root.join("builds")
    }

    /// Secrets of the steps of builds.
    pub(crate) fn build_secrets(&self) -> PathBuf {
        self.exec_root.join("build-secrets")
    }

    /// The directories of the engine out of which containers have something mounted. The last one has the files and the agents of
    /// clients that build.
    pub(crate) fn shared_with_containers(&self) -> [PathBuf; 4] {
        [self.volumes(), self.builds(), self.build_secrets(), self.data_root.join("buildkit")]
    }
}
