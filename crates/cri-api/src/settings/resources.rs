//! Limits of a container.

use std::collections::BTreeMap;

use model::{CpuSet, ResourceSettings, Spelled};
use tonic::Status;

use super::refusal::choice;
use crate::status::invalid;
use crate::wire::security::{HugepageLimit, LinuxContainerResources};

/// Controllers whose files can be set by their names, cgroups(7).
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// The requested limits; numbers that are 0 are unset.
pub(crate) fn of_resources(asked: &LinuxContainerResources) -> Result<ResourceSettings, Status> {
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
        huge_pages: huge_pages(&asked.hugepage_limits)?,
        unified: unified(&asked.unified)?,
        ..ResourceSettings::default()
    })
}

/// Bytes of each size of pages. The kubelet names every size that the machine has, with the limit 0 where none is requested.
fn huge_pages(asked: &[HugepageLimit]) -> Result<BTreeMap<String, u64>, Status> {
    let limit = |HugepageLimit { page_size, limit }: &HugepageLimit| {
        let number = page_size.strip_suffix("KB").or_else(|| page_size.strip_suffix("MB"));
        let number = number.or_else(|| page_size.strip_suffix("GB")).unwrap_or_default();
        match !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) {
            true => Ok((page_size.clone(), *limit)),
            false => Err(invalid(format!("hugepage_limits: {page_size:?} is no size of pages, such as 2MB"))),
        }
    };
    asked.iter().map(limit).collect()
}

/// Files of cgroup version 2. Only those of controllers are limits: others move and end processes.
fn unified(asked: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Status> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._".contains(letter);
    let of_controller = |name: &str| {
        let controller = name.split_once('.').map(|(controller, _)| controller);
        controller.is_some_and(|controller| CONTROLLERS.contains(&controller)) && name.chars().all(is_plain)
    };
    match asked.keys().find(|name| !of_controller(name)) {
        Some(name) => Err(invalid(format!("unified: {name:?} is not a file of a cgroup controller"))),
        None => Ok(asked.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_taken_over() {
        let asked = |page_size: &str, limit| LinuxContainerResources {
            cpu_shares: 512,
            cpuset_cpus: "0".to_owned(),
            memory_limit_in_bytes: 64 << 20,
            hugepage_limits: vec![HugepageLimit { page_size: page_size.to_owned(), limit }],
            ..LinuxContainerResources::default()
        };
        let limits = of_resources(&asked("2MB", 4 << 20)).expect("limits");
        assert_eq!((limits.cpu_shares, limits.memory), (512, 64 << 20));
        assert_eq!(limits.cpuset_cpus.to_string(), "0");
        assert_eq!(limits.huge_pages, [("2MB".to_owned(), 4 << 20)].into());
        for size in ["2M", "MB", "", "2MB/../../memory", "-2MB"] {
            assert!(of_resources(&asked(size, 0)).is_err(), "{size:?}");
        }
    }

    #[test]
    fn files_of_controllers_are_taken_and_no_others() {
        let files = |name: &str| {
            let unified = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
            let asked = LinuxContainerResources { unified, ..LinuxContainerResources::default() };
            of_resources(&asked).map(|limits| limits.unified)
        };
        // What the kubelet of a host with cgroups of version 2 sends with each container.
        let taken = files("memory.oom.group").expect("a file of a controller");
        assert_eq!(taken, BTreeMap::from([("memory.oom.group".to_owned(), "1".to_owned())]));
        for name in
            ["cgroup.procs", "memory", "memory./../cgroup.kill", "../memory.max", "hugetlb.2MB.max", ""]
        {
            assert!(files(name).is_err(), "{name:?}");
        }
    }
}
