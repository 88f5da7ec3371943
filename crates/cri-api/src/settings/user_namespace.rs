//! The user namespace of a pod: one range of users and one of groups, which its containers and their mounts share.

use model::{HostSettings, IdMapping, IdRange, IpcMode, Owners, PidMode};
use tonic::Status;

use super::refusal::unsupported;
use crate::status::invalid;
use crate::wire::container::Mount;
use crate::wire::security::{NamespaceMode, UserNamespace};
use crate::wire::value::IDMapping;

/// The requested mapping; `None` for the host's users.
pub(super) fn mapping(asked: Option<&UserNamespace>) -> Result<Option<IdMapping>, Status> {
    let Some(asked) = asked else { return Ok(None) };
    match asked.mode() {
        NamespaceMode::Node if asked.uids.is_empty() && asked.gids.is_empty() => Ok(None),
        NamespaceMode::Node => Err(invalid("the host's user namespace has no mappings of its own")),
        NamespaceMode::Pod => {
            let (users, groups) = (range("user", &asked.uids)?, range("group", &asked.gids)?);
            Ok(Some(IdMapping { users: vec![users], groups: vec![groups] }))
        }
        mode @ (NamespaceMode::Container | NamespaceMode::Target) => {
            Err(invalid(format!("a user namespace cannot have the mode {mode:?}")))
        }
    }
}

/// The kubelet gives a pod one range, from its root on.
fn range(kind: &str, mappings: &[IDMapping]) -> Result<IdRange, Status> {
    let [mapping] = mappings else {
        let count = mappings.len();
        return Err(invalid(format!("a user namespace has one {kind} mapping, and not {count}")));
    };
    let IDMapping { container_id, host_id, length } = *mapping;
    if container_id != 0 || length == 0 {
        return Err(invalid(format!("the {kind} mapping {container_id}:{host_id}:{length} does not map 0")));
    }
    // The last number is not a user: it means "unchanged" in system calls, chown(2).
    if host_id.checked_add(length).is_none() {
        return Err(invalid(format!("the {kind} mapping {container_id}:{host_id}:{length} leads too far")));
    }
    Ok(IdRange { inside: container_id, outside: host_id, count: length })
}

/// Refuses what of the host cannot be shared with a user namespace.
pub(super) fn check_sandbox(mapping: Option<&IdMapping>, host: &HostSettings) -> Result<(), Status> {
    let shared =
        [(host.pid_mode == PidMode::Host, "processes"), (host.ipc_mode == IpcMode::Host, "ipc namespace")];
    match shared.into_iter().find(|(is_shared, _)| *is_shared && mapping.is_some()) {
        Some((_, what)) => Err(invalid(format!("a pod with a user namespace cannot have the host's {what}"))),
        None => Ok(()),
    }
}

/// Checks that a container's requested mapping is that of its pod.
pub(super) fn check_container(
    asked: Option<&UserNamespace>,
    privileged: bool,
    host: &HostSettings,
    of_pod: Option<&IdMapping>,
) -> Result<(), Status> {
    if asked.is_some() && mapping(asked)?.as_ref() != of_pod {
        return Err(invalid("the container's user namespace is not that of its pod"));
    }
    if of_pod.is_none() {
        return Ok(());
    }
    if privileged {
        return Err(unsupported("privileged containers in pods with a user namespace"));
    }
    check_sandbox(of_pod, host)
}

/// How the owners of a mount's files are mapped: not at all, or like the pod's users.
pub(super) fn owners(mount: &Mount, of_pod: Option<&IdMapping>) -> Result<Owners, Status> {
    if mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty() {
        return Ok(Owners::OfHost);
    }
    let (users, groups) = (range("user", &mount.uid_mappings)?, range("group", &mount.gid_mappings)?);
    let place = &mount.container_path;
    match of_pod {
        Some(pod) if *pod == (IdMapping { users: vec![users], groups: vec![groups] }) => {
            Ok(Owners::OfContainer)
        }
        Some(_) => {
            Err(unsupported(&format!("the mappings of the mount at {place}, which are not its pod's")))
        }
        None => Err(invalid(format!("the mount at {place} has mappings, and its pod has no user namespace"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(container_id: u32, host_id: u32, length: u32) -> Vec<IDMapping> {
        vec![IDMapping { host_id, container_id, length }]
    }

    fn asked(mode: NamespaceMode, ids: Vec<IDMapping>) -> UserNamespace {
        UserNamespace { mode: mode.into(), uids: ids.clone(), gids: ids }
    }

    fn pod() -> IdMapping {
        let pod = mapping(Some(&asked(NamespaceMode::Pod, ids(0, 1000, 65536))));
        pod.expect("a mapping").expect("one of its own")
    }

    #[test]
    fn a_pod_has_one_range_from_its_root_on() {
        assert_eq!(pod().users, [IdRange { inside: 0, outside: 1000, count: 65536 }]);
        let twice = [ids(0, 1000, 10), ids(10, 2000, 10)].concat();
        for wrong in [Vec::new(), twice, ids(1, 1000, 10), ids(0, 1000, 0), ids(0, u32::MAX, 1)] {
            assert!(mapping(Some(&asked(NamespaceMode::Pod, wrong.clone()))).is_err(), "{wrong:?}");
        }
        for mode in [NamespaceMode::Container, NamespaceMode::Target] {
            assert!(mapping(Some(&asked(mode, ids(0, 1000, 10)))).is_err());
        }
        assert_eq!(mapping(None).expect("the host's"), None);
        assert_eq!(mapping(Some(&asked(NamespaceMode::Node, Vec::new()))).expect("the host's"), None);
    }

    #[test]
    fn containers_and_mounts_have_the_users_of_their_pod() {
        let (pod, host) = (pod(), HostSettings::default());
        let own = asked(NamespaceMode::Pod, ids(0, 1000, 65536));
        assert!(check_container(Some(&own), false, &host, Some(&pod)).is_ok());
        assert!(check_container(None, false, &host, Some(&pod)).is_ok());
        assert!(check_container(None, true, &host, Some(&pod)).is_err());
        assert!(check_container(Some(&own), false, &host, None).is_err());
        let processes = HostSettings { pid_mode: PidMode::Host, ..HostSettings::default() };
        assert!(check_container(None, false, &processes, Some(&pod)).is_err());
        let mount =
            |ids: Vec<IDMapping>| Mount { uid_mappings: ids.clone(), gid_mappings: ids, ..Mount::default() };
        assert_eq!(owners(&mount(Vec::new()), Some(&pod)).expect("owners"), Owners::OfHost);
        assert_eq!(owners(&mount(ids(0, 1000, 65536)), Some(&pod)).expect("owners"), Owners::OfContainer);
        assert!(owners(&mount(ids(0, 2000, 65536)), Some(&pod)).is_err());
        assert!(owners(&mount(ids(0, 1000, 65536)), None).is_err());
    }
}
