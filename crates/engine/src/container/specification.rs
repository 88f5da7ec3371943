//! From a container's record to the specification that its shim runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{
    CgroupNamespaceMode, CgroupParent, ContainerSettings, ContainerSpec, DeviceRule, HostSettings, IdMapping,
    IpcMode, Mount, MountAccess, MountPoint, MountSource, Namespace, Namespaces, NetworkMode, Owners,
    PidMode, ProcessSpec, Propagation, RootFilesystem, SHM_SIZE, SeccompPolicy, Submounts, UtsMode,
};

use crate::cdi::DeviceEdits;
use crate::container::security::SecurityOptions;
use crate::container::{Record, capabilities, health, mounts, resources, tmpfs};
use crate::error::Error;

/// The search path of containers whose image names none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The last group that the kernel takes for `ping_group_range`.
const LAST_GROUP: u32 = i32::MAX as u32;

/// The results of the look-ups for a start.
pub(crate) struct StartInputs {
    /// The image's layers, topmost first.
    pub(crate) lower: Vec<PathBuf>,
    /// Changes to its own layer are written to disk by the kernel in its own time: nothing waits for them.
    pub(crate) volatile: bool,
    /// The volumes that are mounts, in the order in which the shim gets their namespaces.
    pub(crate) held_volumes: Vec<(String, Owners)>,
    /// The images that are mounted.
    pub(crate) images: Vec<Mount>,
    /// The container's own directory.
    pub(crate) directory: PathBuf,
    /// Joined or new namespaces.
    pub(crate) namespaces: Namespaces,
    /// Its name in the network: its own, or that of the container whose network it joins.
    pub(crate) hostname: String,
    /// The domain of that name.
    pub(crate) domainname: String,
    /// Resolver files to mount, as file on the host and path in the container.
    pub(crate) resolver_files: Vec<(PathBuf, &'static str)>,
    /// Variables that links give.
    pub(crate) link_environment: Vec<String>,
    /// Where output goes.
    pub(crate) log: model::LogSpec,
    /// Limits of containers that set none.
    pub(crate) default_limits: Vec<model::Ulimit>,
    /// The devices that it sees, as the host has them.
    pub(crate) devices: Vec<model::Device>,
    /// The edits for the devices that drivers choose.
    pub(crate) device_edits: DeviceEdits,
    /// How its users map to the host's.
    pub(crate) user_namespace: Option<IdMapping>,
    /// The directories whose files belong to the containers that have them mounted.
    pub(crate) own_directories: [PathBuf; 4],
    /// The cgroup beneath which its own is made.
    pub(crate) cgroup_parent: Option<CgroupParent>,
    /// The name of its own cgroup where systemd keeps it.
    pub(crate) scope: Option<String>,
}

/// Builds the specification.
///
/// # Errors
/// Refused, in the reference's words, when a setting is not possible.
pub(crate) fn build(record: &Record, around: StartInputs) -> Result<ContainerSpec, Error> {
    let (settings, host) = (&record.settings, &record.settings.host);
    let security = SecurityOptions::of(host)?;
    let mounts = all_mounts(record, &around)?;
    let process = process(record, &around, &security);
    let sysctls = sysctls(host, &around);
    Ok(ContainerSpec {
        id: record.id.clone(),
        name: record.name.clone(),
        root: root(record, &around),
        read_only_root: host.read_only_root,
        hostname: around.hostname,
        domainname: around.domainname,
        namespaces: around.namespaces,
        user_namespace: around.user_namespace,
        mounts,
        devices: around.devices.into_iter().chain(around.device_edits.devices).collect(),
        device_rules: host
            .resources
            .device_rules
            .iter()
            .flatten()
            .map(|rule| DeviceRule::clone(rule))
            .collect(),
        privileged: host.privileged,
        shm_size: shm_size(host),
        sysctls,
        resources: resources::of_cgroup(&host.resources),
        cgroup_parent: host.cgroup_parent.as_deref().cloned().or(around.cgroup_parent),
        keeps_cgroup_parents: record.pod.is_some(),
        scope: around.scope,
        seccomp: security.seccomp.unwrap_or(if host.privileged {
            SeccompPolicy::Unconfined
        } else {
            SeccompPolicy::Default
        }),
        apparmor_profile: security.apparmor,
        selinux_label: security.selinux_label,
        masked_paths: paths(host.masked_paths.as_ref(), security.unconfined_paths),
        read_only_paths: paths(host.read_only_paths.as_ref(), security.unconfined_paths),
        init: host.init.unwrap_or(false),
        process,
        open_stdin: settings.open_stdin,
        stdin_once: settings.stdin_once,
        log: around.log,
        health: health::specification(record),
    })
}

/// Turns a specification into that of a container which only holds what others share: its first process has
/// no program, and of the container's files it sees only the lowest layer, which has mount points alone.
///
/// # Errors
/// Refused when there is no such layer.
pub(crate) fn hold(spec: &mut ContainerSpec) -> Result<(), Error> {
    let RootFilesystem::Overlay { lower, .. } = &spec.root else { return Ok(()) };
    let lowest = lower.last().ok_or_else(|| Error::refused("cannot make the mount points of steps"))?;
    spec.root = RootFilesystem::Directory(lowest.clone());
    spec.read_only_root = true;
    spec.mounts.clear();
    spec.process.arguments.clear();
    spec.process.user.clear();
    spec.process.additional_groups.clear();
    "/".clone_into(&mut spec.process.working_directory);
    Ok(())
}

/// The root: the image's layers beneath the container's own; of a sandbox, an empty directory.
fn root(record: &Record, around: &StartInputs) -> RootFilesystem {
    let StartInputs { lower, volatile, directory, .. } = around;
    let upper = directory.join("upper");
    if record.is_sandbox() {
        return RootFilesystem::Directory(upper);
    }
    let (lower, work) = (lower.clone(), directory.join("work"));
    RootFilesystem::Overlay { lower, upper, work, volatile: *volatile }
}

/// Kernel settings: in a network namespace of its own a container may serve on port 80 and ping
/// without a capability, unless the client sets that otherwise.
fn sysctls(host: &HostSettings, around: &StartInputs) -> BTreeMap<String, String> {
    let mut settings = host.sysctls.clone().unwrap_or_default();
    if around.namespaces.network == Namespace::Own {
        // The kernel takes groups of the namespace alone.
        let last = around.user_namespace.as_ref().map_or(LAST_GROUP, IdMapping::last_group);
        let range = format!("0 {last}");
        for (name, value) in
            [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", &range)]
        {
            settings.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    settings
}

/// Bytes of /dev/shm; `None` where the container has none.
fn shm_size(host: &HostSettings) -> u64 {
    if host.ipc_mode == IpcMode::None {
        return 0;
    }
    u64::try_from(host.shm_size).ok().filter(|size| *size > 0).unwrap_or(SHM_SIZE)
}

/// A list of paths that the client sets; empty when nothing is to be confined.
fn paths(asked: Option<&Vec<String>>, unconfined: bool) -> Option<Vec<PathBuf>> {
    if unconfined { Some(Vec::new()) } else { asked.map(|paths| paths.iter().map(PathBuf::from).collect()) }
}

fn process(record: &Record, around: &StartInputs, security: &SecurityOptions) -> ProcessSpec {
    let (settings, host) = (&record.settings, &record.settings.host);
    let program = Some(&record.path).filter(|_| !record.is_sandbox());
    let arguments = program.into_iter().chain(&record.arguments).cloned().collect();
    let mut environment = environment(record, &around.hostname, settings.terminal, &around.link_environment);
    for variable in &around.device_edits.environment {
        put_variable(&mut environment, variable);
    }
    let mut additional_groups = host.additional_groups.clone().unwrap_or_default();
    additional_groups.extend(around.device_edits.groups.iter().map(u32::to_string));
    let size = |index: usize| u16::try_from(host.console_size[index]).unwrap_or(0);
    ProcessSpec {
        arguments,
        environment,
        working_directory: settings.working_directory.clone(),
        user: settings.user.clone(),
        additional_groups,
        groups_of_user: host.groups_of_user,
        terminal: settings.terminal,
        terminal_size: (size(0), size(1)),
        capabilities: capabilities::of(host),
        no_new_privileges: security.no_new_privileges,
        resource_limits: resources::of_process(&host.resources, &around.default_limits),
        oom_score_adjustment: oom_score(host),
    }
}

/// How readily the kernel ends the container's processes for memory, where that is not its default.
pub(crate) fn oom_score(host: &HostSettings) -> Option<i32> {
    i32::try_from(host.oom_score_adjustment).ok().filter(|score| *score != 0)
}

/// The name that a container's host has for itself: with its domain, where it has one.
pub(crate) fn full_hostname(settings: &ContainerSettings) -> String {
    match settings.domainname.as_str() {
        "" => settings.hostname.clone(),
        domain => format!("{}.{domain}", settings.hostname),
    }
}

/// The variables of a process: the engine's, links', then the container's own, which win.
pub(crate) fn environment(record: &Record, hostname: &str, terminal: bool, links: &[String]) -> Vec<String> {
    let mut variables = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        variables.push("TERM=xterm".to_owned());
    }
    variables.extend(links.iter().cloned());
    for variable in record.settings.environment.iter().flatten() {
        put_variable(&mut variables, variable);
    }
    variables
}

/// Adds a variable, or replaces the one of that name; a name alone removes it.
pub(crate) fn put_variable(variables: &mut Vec<String>, variable: &str) {
    let (name, has_value) = match variable.split_once('=') {
        Some((name, _)) => (name, true),
        None => (variable, false),
    };
    let is_same = |known: &String| known.split('=').next() == Some(name);
    match variables.iter().position(is_same) {
        Some(place) if has_value => variable.clone_into(&mut variables[place]),
        Some(place) => drop(variables.remove(place)),
        None if has_value => variables.push(variable.to_owned()),
        None => {}
    }
}

fn all_mounts(record: &Record, around: &StartInputs) -> Result<Vec<Mount>, Error> {
    let read_only_root = record.settings.host.read_only_root;
    let resolver_files = around.resolver_files.iter().map(|(file, destination)| Mount {
        source: MountSource::Bind(file.clone()),
        destination: mounts::clean(destination),
        access: if read_only_root { MountAccess::ReadOnly } else { MountAccess::ReadWrite },
        propagation: Propagation::RecursivePrivate,
        submounts: Submounts::Included,
        subpath: None,
        owners: Owners::OfContainer,
    });
    let mut all: Vec<Mount> = resolver_files.collect();
    all.extend(record.mounts.iter().map(|mount| planned_mount(mount, around)));
    all.extend(tmpfs::mounts(&record.settings.host)?);
    all.extend(around.images.iter().cloned());
    all.extend(around.device_edits.mounts.iter().cloned());
    all.sort_by_key(|mount| mount.destination.components().count());
    Ok(all)
}

/// A bind or a volume. A volume that is a mount comes from the shim's namespaces.
fn planned_mount(mount: &MountPoint, around: &StartInputs) -> Mount {
    let held = &around.held_volumes;
    let number = held.iter().position(|(volume, _)| mount.is_volume(volume));
    Mount {
        source: match mount.volume().zip(number) {
            Some((volume, number)) => MountSource::Held { volume: volume.name.clone(), number },
            None => MountSource::Bind(PathBuf::from(&mount.source)),
        },
        // What is the host's stays the host's: a container's root does not become root there by a bind.
        owners: match number.and_then(|number| held.get(number)) {
            Some((_, owners)) => *owners,
            None if around.own_directories.iter().any(|own| Path::new(&mount.source).starts_with(own)) => {
                Owners::OfContainer
            }
            None => mount.owners,
        },
        destination: mounts::clean(&mount.destination),
        access: match (mount.writable, mount.writable_submounts) {
            (true, _) => MountAccess::ReadWrite,
            (false, false) => MountAccess::ReadOnly,
            (false, true) => MountAccess::ReadOnlyAlone,
        },
        propagation: mount.mode.propagation.unwrap_or_default(),
        submounts: mount.submounts,
        subpath: mount
            .volume()
            .map(|volume| PathBuf::from(&volume.subpath))
            .filter(|part| !part.as_os_str().is_empty()),
    }
}

/// The namespaces of a container that joins no other container.
pub(crate) fn own_namespaces(record: &Record) -> Namespaces {
    let choose = |is_host| if is_host { Namespace::Host } else { Namespace::Own };
    let host = &record.settings.host;
    Namespaces {
        network: choose(host.network_mode == NetworkMode::Host),
        pid: choose(host.pid_mode == PidMode::Host),
        ipc: choose(host.ipc_mode == IpcMode::Host),
        uts: choose(host.uts_mode == UtsMode::Host),
        own_cgroup: match host.cgroup_namespace_mode {
            CgroupNamespaceMode::Private => true,
            CgroupNamespaceMode::Host => false,
            // With one hierarchy its own, as current clients expect it.
            CgroupNamespaceMode::Default => crate::warnings::Limits::of_host().unified,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_replace_earlier_ones() {
        let mut variables = vec!["A=1".to_owned(), "B=2".to_owned()];
        for variable in ["A=3", "C=4", "B", "D"] {
            put_variable(&mut variables, variable);
        }
        assert_eq!(variables, ["A=3", "C=4"]);
    }
}
