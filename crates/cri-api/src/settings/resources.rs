//! Limits of a container.

use model::{CpuSet, ResourceSettings, Spelled};
use tonic::Status;

use super::refusal::{choice, unsupported};
use crate::wire::security::LinuxContainerResources;

/// The limits that are asked for; numbers that are 0 say nothing.
pub(crate) fn of_resources(asked: &LinuxContainerResources) -> Result<ResourceSettings, Status> {
    // The kubelet names every size of pages with the limit 0, where it does not know of any.
    if asked.hugepage_limits.iter().any(|limit| limit.limit != 0) {
        return Err(unsupported("limits of huge pages"));
    }
    if !asked.unified.is_empty() {
        return Err(unsupported("settings of cgroups by their names (unified)"));
    }
    let set = |what: &str, text: &str| -> Result<Spelled<CpuSet>, Status> {
        if text.is_empty() { Ok(Spelled::default()) } else { choice(what, text) }
    };
    Ok(ResourceSettings {
        cpu_period: asked.cpu_period,
        cpu_quota: asked.cpu_quota,
        cpu_shares: asked.cpu_shares,
        memory: asked.memory_limit_in_bytes,
        memory_swap: asked.memory_swap_limit_in_bytes,
        cpuset_cpus: set("cpuset_cpus", &asked.cpuset_cpus)?,
        cpuset_mems: set("cpuset_mems", &asked.cpuset_mems)?,
        ..ResourceSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::security::HugepageLimit;

    #[test]
    fn limits_are_taken_over_and_huge_pages_are_refused_unless_there_are_none() {
        let huge = |limit| HugepageLimit { page_size: "2MB".to_owned(), limit };
        let asked = |limit| LinuxContainerResources {
            cpu_shares: 512,
            cpuset_cpus: "0".to_owned(),
            memory_limit_in_bytes: 64 << 20,
            hugepage_limits: vec![huge(limit)],
            ..LinuxContainerResources::default()
        };
        let limits = of_resources(&asked(0)).expect("limits");
        assert_eq!((limits.cpu_shares, limits.memory), (512, 64 << 20));
        assert_eq!(limits.cpuset_cpus.to_string(), "0");
        assert!(of_resources(&asked(1)).is_err());
    }
}
