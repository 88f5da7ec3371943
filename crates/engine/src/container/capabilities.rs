//! The capabilities of a container's processes: the default set, with additions and removals.

use model::{Capability, CapabilityChoice, HostSettings, Spelled};

/// A container's default capabilities, as Docker documents them.
const DEFAULT: [Capability; 14] = [
    Capability::ChangeOwner,
    Capability::DacOverride,
    Capability::FileSetId,
    Capability::FileOwner,
    Capability::MakeNode,
    Capability::NetRaw,
    Capability::SetGid,
    Capability::SetUid,
    Capability::SetFileCapabilities,
    Capability::SetCapabilities,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// The full names of all capabilities, for a privileged container or exec.
pub(crate) fn all() -> Vec<String> {
    names(Capability::ALL)
}

/// The full names of a container's capabilities.
pub(crate) fn of(host: &HostSettings) -> Vec<String> {
    names(&resolved(host))
}

/// Whether a container has this capability.
pub(crate) fn has(host: &HostSettings, capability: Capability) -> bool {
    resolved(host).contains(&capability)
}

fn resolved(host: &HostSettings) -> Vec<Capability> {
    if host.privileged {
        return Capability::ALL.to_vec();
    }
    let list = |given: &Option<Vec<Spelled<CapabilityChoice>>>| -> Vec<CapabilityChoice> {
        given.iter().flatten().map(|choice| **choice).collect()
    };
    resolve(&list(&host.add_capabilities), &list(&host.drop_capabilities))
}

fn names(capabilities: &[Capability]) -> Vec<String> {
    capabilities.iter().map(|capability| format!("CAP_{}", capability.name())).collect()
}

fn resolve(add: &[CapabilityChoice], drop: &[CapabilityChoice]) -> Vec<Capability> {
    let base: &[Capability] = if add.contains(&CapabilityChoice::All) {
        Capability::ALL
    } else if drop.contains(&CapabilityChoice::All) {
        &[]
    } else {
        &DEFAULT
    };
    let is_dropped = |capability: &Capability| drop.contains(&CapabilityChoice::One(*capability));
    let mut resolved: Vec<_> = base.iter().copied().filter(|capability| !is_dropped(capability)).collect();
    for choice in add {
        if let CapabilityChoice::One(capability) = choice
            && !resolved.contains(capability)
        {
            resolved.push(*capability);
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_drops() {
        let choices = |names: &[&str]| -> Vec<CapabilityChoice> {
            names.iter().map(|name| name.parse().expect("a capability")).collect()
        };
        let resolve = |add: &[&str], drop: &[&str]| resolve(&choices(add), &choices(drop));
        let some = resolve(&["net_admin"], &["CAP_MKNOD"]);
        assert!(some.contains(&Capability::NetAdmin) && !some.contains(&Capability::MakeNode));
        assert_eq!(names(&resolve(&["CHOWN"], &["ALL"])), ["CAP_CHOWN"]);
        assert_eq!(resolve(&["ALL"], &["SYS_ADMIN"]).len(), Capability::ALL.len() - 1);
    }
}
