//! Options of the engine.

use std::path::PathBuf;

use model::{CgroupParent, IdMapping, LogConfig, NameServer, Ulimit};

/// The engine's settings, as the daemon's flags give them.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything that lasts is kept, `/var/lib/berth`.
    pub data_root: PathBuf,
    /// Where sockets and run directories are, `/run/berth`.
    pub exec_root: PathBuf,
    /// The unix sockets at which clients come in; one that lies beneath a root stays reachable for its group.
    pub sockets: Vec<PathBuf>,
    /// The engine's version, kept in images it makes.
    pub version: String,
    /// The `berth-shim` program.
    pub shim: PathBuf,
    /// The bridge and firewall.
    pub network: network::Options,
    /// Where networks that name no addresses get theirs.
    pub address_pools: crate::networks::subnets::AddressPools,
    /// DNS servers of containers that name none.
    pub dns: Vec<NameServer>,
    /// DNS search domains of containers that name none.
    pub dns_search: Vec<String>,
    /// The log driver of containers that name none.
    pub log: LogConfig,
    /// Resource limits of containers that name none.
    pub ulimits: Vec<Ulimit>,
    /// The engine's own labels.
    pub labels: Vec<String>,
    /// Registries and mirrors.
    pub registry: images::registry::RegistrySettings,
    /// How many bytes a compressed archive of an image may become, however small it is.
    pub unpack_allowance: Option<u64>,
    /// Whether a graceful stop of the daemon ends all containers; by default they run on.
    pub stop_containers_on_exit: bool,
    /// Where specifications of devices (CDI) are; the last wins.
    pub cdi_directories: Vec<PathBuf>,
    /// How users and groups of containers map to the host's; `None` for the same ids.
    pub user_mapping: Option<IdMapping>,
    /// Where networks of pods and their plugins are; `None` where no pods are served: then the plugins of the host are
    /// left alone.
    pub pod_networks: Option<PodNetworkDirectories>,
    /// The cgroup beneath which those of containers are made; `None` is `/berth`.
    pub cgroup_parent: Option<CgroupParent>,
    /// The cgroup driver of pods.
    pub pod_cgroup_driver: CgroupDriver,
}

/// Which program creates and removes the cgroups of pods; the kubelet must have the same driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// berth: they are directories.
    #[default]
    Cgroupfs,
    /// systemd: they are its scopes, in slices.
    Systemd,
}

/// Where the host has networks of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodNetworkDirectories {
    /// Their configurations: `/etc/cni/net.d`.
    pub configurations: PathBuf,
    /// The programs of their plugins: `/opt/cni/bin`.
    pub plugins: Vec<PathBuf>,
}
