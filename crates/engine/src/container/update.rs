//! Changes the limits and the restart policy of a container, whether it runs or not.
//!
//! ```text
//! checked as a create would ──▶ the running container's cgroup ──▶ record and row ──▶ event
//! ```

use std::sync::Arc;

use model::{
    BlockDeviceLimit, EventAction, HostSettings, ResourceSettings, Resources, RestartPolicy,
    WrittenRestartPolicy,
};
use shim_protocol::Request;

use crate::container::limit_files::{self as files, files_of};
use crate::container::resources::{self, of_cgroup};
use crate::container::{Container, Phase, Record, scope};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::shim::RequestError;

/// What is changed; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct ContainerUpdate {
    /// Limits. Numbers that are 0 and lists that are empty change nothing, except for the limit of processes.
    pub resources: ResourceSettings,
    /// Whether the kernel spares the processes when memory runs out, in place of the flag in `resources`,
    /// which cannot be left out.
    pub oom_kill_disable: Option<bool>,
    /// The restart policy.
    pub restart_policy: Option<WrittenRestartPolicy>,
}

/// Changes containers' settings.
pub(crate) struct Updater {
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
}

impl Updater {
    /// Changes a container; returns what the host cannot do of it.
    ///
    /// # Errors
    /// Unknown container, values that a create refuses or that contradict those it has, and what the kernel refuses;
    /// then nothing has changed.
    pub(crate) async fn update(
        self: &Arc<Self>,
        reference: &str,
        update: ContainerUpdate,
    ) -> Result<Vec<String>, Error> {
        let container = self.directory.find(reference)?;
        let updater = Arc::clone(self);
        crate::outcome::finish(async move {
            let id = container.id().to_string();
            updater.change(&container, update).await.map_err(|error| error.on("update", id))
        })
        .await
    }

    async fn change(
        &self,
        container: &Arc<Container>,
        mut update: ContainerUpdate,
    ) -> Result<Vec<String>, Error> {
        let _order = container.transition.lock().await;
        let before = container.record();
        if matches!(before.phase, Phase::Removing) {
            return Err(Error::AlreadyRemoving);
        }
        update.resources.oom_kill_disable = update.oom_kill_disable == Some(true);
        let warnings = crate::warnings::discard_unsupported(&mut update.resources);
        update.oom_kill_disable = update.oom_kill_disable.map(|_| update.resources.oom_kill_disable);
        check_contradictions(&before, &update)?;
        let host = merged(&before.settings.host, update);
        resources::check(&host)?;
        if before.is_running()
            && before.settings.host.resources.oom_kill_disable
            && !host.resources.oom_kill_disable
        {
            return Err(Error::conflict("OomKillDisable cannot be taken back while the container runs"));
        }
        let (held, asked) = (of_cgroup(&before.settings.host.resources), of_cgroup(&host.resources));
        let changed = difference(&held, asked.clone());
        if before.is_running() && changed != Resources::default() {
            let shim = container.shim().ok_or_else(|| Error::NotRunning(container.id().to_string()))?;
            // systemd sets all files that it manages again, so all others are set after it.
            let known = Resources { unified: host.resources.unified.clone(), ..changed.clone() };
            if let Err(error) = shim.request(Request::Update(Box::new(changed)), None).await {
                if matches!(error, RequestError::Silent) {
                    let before = difference(&asked, or_none(held, &asked));
                    shim.undo(Request::Update(Box::new(before))).await;
                }
                return Err(error.of_running(container.id().as_str()));
            }
            scope::limit(&before.cgroups, &known).await?;
        }
        let (record, written) = container.update_saved(|record| {
            record.settings.host.resources = host.resources;
            record.settings.host.restart_policy = host.restart_policy;
        });
        self.events.emit_container(&record, EventAction::Update, &[]);
        // The next start and the next daemon go by the row.
        written.wait().await?;
        Ok(warnings)
    }
}

/// Refuses what cannot be changed by itself.
fn check_contradictions(record: &Record, update: &ContainerUpdate) -> Result<(), Error> {
    let host = &record.settings.host;
    let (held, asked) = (&host.resources, &update.resources);
    let swap = match held.memory_swap {
        // Kubelets leave it out and mean no limit of their own: it follows the memory.
        0 if record.pod.is_some() => 0,
        0 => held.memory.saturating_mul(2),
        swap => swap,
    };
    if asked.memory_swap == 0 && swap > 0 && asked.memory > swap {
        return Err(Error::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let both = |one: &str, other: &str| {
        Err(Error::conflict(format!(
            "Conflicting options: {one} cannot be updated as {other} has already been set"
        )))
    };
    match (held.nano_cpus > 0, asked) {
        (true, asked) if asked.cpu_quota > 0 => return both("CPU Quota", "NanoCPUs"),
        (true, asked) if asked.cpu_period > 0 => return both("CPU Period", "NanoCPUs"),
        (false, asked) if asked.nano_cpus > 0 && held.cpu_quota > 0 => return both("Nano CPUs", "CPU Quota"),
        (false, asked) if asked.nano_cpus > 0 && held.cpu_period > 0 => {
            return both("Nano CPUs", "CPU Period");
        }
        _ => {}
    }
    let policy = update.restart_policy.as_ref().map(WrittenRestartPolicy::policy);
    if host.auto_remove && policy.is_some_and(|policy| policy != RestartPolicy::No) {
        return Err(Error::conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    Ok(())
}

/// The settings with an update applied.
fn merged(host: &HostSettings, update: ContainerUpdate) -> HostSettings {
    let mut host = host.clone();
    let ContainerUpdate { resources: asked, oom_kill_disable, restart_policy } = update;
    let set_by_name = files_of(&asked);
    let held = &mut host.resources;
    for (held, asked) in [
        (&mut held.memory, asked.memory),
        (&mut held.memory_swap, asked.memory_swap),
        (&mut held.memory_reservation, asked.memory_reservation),
        (&mut held.kernel_memory, asked.kernel_memory),
        (&mut held.cpu_shares, asked.cpu_shares),
        (&mut held.cpu_period, asked.cpu_period),
        (&mut held.cpu_quota, asked.cpu_quota),
        (&mut held.nano_cpus, asked.nano_cpus),
        (&mut held.block_weight, asked.block_weight),
    ] {
        if asked != 0 {
            *held = asked;
        }
    }
    for (held, asked) in
        [(&mut held.cpuset_cpus, asked.cpuset_cpus), (&mut held.cpuset_mems, asked.cpuset_mems)]
    {
        if !asked.is_empty() {
            *held = asked;
        }
    }
    for (held, asked) in [
        (&mut held.block_weight_devices, asked.block_weight_devices),
        (&mut held.block_read_bytes, asked.block_read_bytes),
        (&mut held.block_write_bytes, asked.block_write_bytes),
        (&mut held.block_read_operations, asked.block_read_operations),
        (&mut held.block_write_operations, asked.block_write_operations),
    ] {
        if asked.as_ref().is_some_and(|devices| !devices.is_empty()) {
            *held = asked;
        }
    }
    held.huge_pages.extend(asked.huge_pages);
    held.unified.retain(|file, _| !set_by_name.contains(&file.as_str()));
    held.unified.extend(asked.unified);
    if asked.memory_swappiness.is_some() {
        held.memory_swappiness = asked.memory_swappiness;
    }
    if let Some(is_disabled) = oom_kill_disable {
        held.oom_kill_disable = is_disabled;
    }
    if let Some(limit) = asked.pids_limit {
        // No limit has one spelling.
        held.pids_limit = Some(limit.max(0));
    }
    if let Some(policy) = restart_policy {
        host.restart_policy = policy;
    }
    host
}

/// Limits with the words for no limit where others have one.
fn or_none(limits: Resources, others: &Resources) -> Resources {
    let no_memory_limit = i64::MAX.unsigned_abs();
    Resources {
        memory: limits.memory.or(others.memory.map(|_| no_memory_limit)),
        memory_swap: limits.memory_swap.or(others.memory_swap.map(|_| -1)),
        cpu_shares: limits.cpu_shares.or(others.cpu_shares.map(|_| 1024)),
        cpu_period: limits.cpu_period.or(others.cpu_period.map(|_| 100_000)),
        cpu_quota: limits.cpu_quota.or(others.cpu_quota.map(|_| -1)),
        ..limits
    }
}

/// The limits that differ. Memory comes with its swap and a quota with its period: the kernel reads them
/// together.
///
/// A limit differs also where a file that was set by its name held another value than the limit, and no longer counts.
fn difference(before: &Resources, after: Resources) -> Resources {
    let is_taken = |files: &[&str]| {
        files.iter().any(|file| before.unified.contains_key(*file) && !after.unified.contains_key(*file))
    };
    let memory_differs = (before.memory, before.memory_swap) != (after.memory, after.memory_swap)
        || is_taken(files::MEMORY)
        || is_taken(files::MEMORY_SWAP);
    let quota_differs = (before.cpu_period, before.cpu_quota) != (after.cpu_period, after.cpu_quota)
        || is_taken(files::CPU_QUOTA);
    let is_reservation_taken = is_taken(files::MEMORY_RESERVATION);
    let are_shares_taken = is_taken(files::CPU_SHARES);
    let (are_cpus_taken, are_mems_taken) = (is_taken(files::CPUS), is_taken(files::MEMORY_NODES));
    let is_weight_taken = is_taken(files::BLOCK_WEIGHT);
    let pids_differ = before.pids_limit != after.pids_limit || is_taken(files::PIDS);
    let other = |differs: bool| if differs { after.pids_limit.or(Some(u64::MAX)) } else { None };
    let pids_limit = other(pids_differ);
    let huge_pages = after.huge_pages.into_iter();
    let huge_pages = huge_pages.filter(|(size, bytes)| before.huge_pages.get(size) != Some(bytes));
    // A change of memory sets its swap too, and overrides what was set for that by name.
    let is_overwritten = |name: &str| memory_differs && files::MEMORY_SWAP.contains(&name);
    let unified = after.unified.into_iter();
    let unified =
        unified.filter(|(name, value)| is_overwritten(name) || before.unified.get(name) != Some(value));
    let blocks = before.block_device_limits != after.block_device_limits;
    let is_limited = |old: &BlockDeviceLimit| {
        after.block_device_limits.iter().any(|new| (new.kind, &new.path) == (old.kind, &old.path))
    };
    let lifted = before.block_device_limits.iter().filter(|old| !is_limited(old));
    let lifted: Vec<_> = lifted.map(|old| BlockDeviceLimit { value: 0, ..old.clone() }).collect();
    Resources {
        memory: after.memory.filter(|_| memory_differs),
        memory_swap: after.memory_swap.filter(|_| memory_differs),
        memory_reservation: after
            .memory_reservation
            .filter(|new| is_reservation_taken || Some(*new) != before.memory_reservation),
        kernel_memory: after.kernel_memory.filter(|new| Some(*new) != before.kernel_memory),
        memory_swappiness: after.memory_swappiness.filter(|new| Some(*new) != before.memory_swappiness),
        oom_kill_disable: after.oom_kill_disable && !before.oom_kill_disable,
        cpu_shares: after.cpu_shares.filter(|new| are_shares_taken || Some(*new) != before.cpu_shares),
        cpu_period: after.cpu_period.filter(|_| quota_differs),
        cpu_quota: after.cpu_quota.filter(|_| quota_differs),
        cpuset_cpus: after
            .cpuset_cpus
            .filter(|new| are_cpus_taken || Some(new) != before.cpuset_cpus.as_ref()),
        cpuset_mems: after
            .cpuset_mems
            .filter(|new| are_mems_taken || Some(new) != before.cpuset_mems.as_ref()),
        blkio_weight: after.blkio_weight.filter(|new| is_weight_taken || Some(*new) != before.blkio_weight),
        block_device_limits: if blocks { [lifted, after.block_device_limits].concat() } else { lifted },
        pids_limit,
        huge_pages: huge_pages.collect(),
        unified: unified.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod_role::PodRole;

    fn limits(memory: i64, nano_cpus: i64, pids_limit: Option<i64>) -> ResourceSettings {
        ResourceSettings { memory, nano_cpus, pids_limit, ..ResourceSettings::default() }
    }

    fn host(resources: ResourceSettings) -> HostSettings {
        HostSettings { resources, ..HostSettings::default() }
    }

    fn record(resources: ResourceSettings) -> Record {
        let digest = || model::Digest::parse(&format!("sha256:{}", "0".repeat(64))).expect("a digest");
        let id = model::ContainerId::from_random([7; 32]);
        let mut record = Record::new(id, "held".to_owned(), digest(), model::Timestamp::NEVER);
        record.settings.host.resources = resources;
        record
    }

    #[test]
    fn what_says_nothing_stays() {
        let held = host(limits(64 << 20, 500_000_000, Some(50)));
        let after = merged(&held, ContainerUpdate::default());
        assert_eq!(after, held);
        let resources = limits(96 << 20, 0, Some(-1));
        let after = merged(&held, ContainerUpdate { resources, ..ContainerUpdate::default() });
        assert_eq!(after.resources, limits(96 << 20, 500_000_000, Some(0)));
        let changed = difference(&of_cgroup(&held.resources), of_cgroup(&after.resources));
        assert_eq!((changed.memory, changed.memory_swap), (Some(96 << 20), Some(192 << 20)));
        assert_eq!((changed.pids_limit, changed.cpu_quota), (Some(u64::MAX), None));
        assert!(changed.unified.is_empty());
    }

    #[test]
    fn files_are_named_one_by_one() {
        let files = |pairs: &[(&str, &str)]| ResourceSettings {
            unified: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..ResourceSettings::default()
        };
        let held = host(files(&[("memory.high", "1"), ("memory.oom.group", "1")]));
        let resources = files(&[("memory.high", "2"), ("memory.min", "3"), ("memory.oom.group", "1")]);
        let after =
            merged(&held, ContainerUpdate { resources: resources.clone(), ..ContainerUpdate::default() });
        assert_eq!(after.resources, resources);
        let changed = difference(&of_cgroup(&held.resources), of_cgroup(&after.resources));
        let names: Vec<&str> = changed.unified.keys().map(String::as_str).collect();
        assert_eq!(names, ["memory.high", "memory.min"]);
    }

    #[test]
    fn a_limit_takes_the_place_of_its_file() {
        let files = ["memory.max", "memory.swap.max", "memory.high", "cpu.max", "cpu.weight", "pids.max"];
        let unified = files.map(|file| (file.to_owned(), "1".to_owned())).into();
        let held = host(ResourceSettings { unified, ..ResourceSettings::default() });
        let left = |resources: ResourceSettings| {
            let after = merged(&held, ContainerUpdate { resources, ..ContainerUpdate::default() });
            after.resources.unified.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(
            left(limits(64 << 20, 0, None)),
            ["cpu.max", "cpu.weight", "memory.high", "memory.swap.max", "pids.max"]
        );
        let both = ResourceSettings { memory_swap: 128 << 20, ..limits(64 << 20, 0, None) };
        assert_eq!(left(both), ["cpu.max", "cpu.weight", "memory.high", "pids.max"]);
        assert_eq!(left(limits(0, 1_000_000_000, Some(-1))).len(), files.len() - 2);
        let unified = [("memory.max".to_owned(), "2".to_owned())].into();
        let both = ResourceSettings { unified, ..limits(64 << 20, 0, None) };
        assert!(left(both).contains(&"memory.max".to_owned()), "what is said now by its name stays");
        assert_eq!(left(ResourceSettings::default()).len(), files.len());
    }

    #[test]
    fn swap_that_is_limited_by_name_stays_so_when_memory_grows() {
        let unified = [("memory.swap.max".to_owned(), "0".to_owned())].into();
        let held = host(ResourceSettings { unified, ..limits(64 << 20, 0, None) });
        let update = ContainerUpdate { resources: limits(256 << 20, 0, None), ..ContainerUpdate::default() };
        let changed = difference(&of_cgroup(&held.resources), of_cgroup(&merged(&held, update).resources));
        assert_eq!(changed.memory, Some(256 << 20));
        assert_eq!(changed.unified["memory.swap.max"], "0");
    }

    #[test]
    fn a_limit_that_is_held_already_is_written_over_the_file_that_it_replaces() {
        let unified = [("cpu.max".to_owned(), "20000 100000".to_owned())].into();
        let quota = ResourceSettings { cpu_quota: 50_000, ..ResourceSettings::default() };
        let held = host(ResourceSettings { unified, ..quota.clone() });
        let after = merged(&held, ContainerUpdate { resources: quota, ..ContainerUpdate::default() });
        let changed = difference(&of_cgroup(&held.resources), of_cgroup(&after.resources));
        assert_eq!((changed.cpu_quota, changed.memory), (Some(50_000), None));
        let again = difference(&of_cgroup(&after.resources), of_cgroup(&after.resources));
        assert_eq!(again, Resources::default());
    }

    #[test]
    fn contradictions_are_conflicts() {
        let update = |resources| ContainerUpdate { resources, ..ContainerUpdate::default() };
        let conflicts = |held: ResourceSettings, asked: ResourceSettings| {
            check_contradictions(&record(held), &update(asked)).is_err()
        };
        assert!(
            conflicts(limits(64 << 20, 0, None), limits(200 << 20, 0, None)),
            "more than memory and swap"
        );
        assert!(!conflicts(limits(64 << 20, 0, None), limits(96 << 20, 0, None)));
        let of_pod = |held| Record { pod: Some(Arc::new(PodRole::unreadable())), ..record(held) };
        let more = update(limits(200 << 20, 0, None));
        assert!(check_contradictions(&of_pod(limits(64 << 20, 0, None)), &more).is_ok(), "swap follows");
        let swap = ResourceSettings { memory_swap: 128 << 20, ..limits(64 << 20, 0, None) };
        assert!(check_contradictions(&of_pod(swap), &more).is_err(), "swap was limited");
        let quota = ResourceSettings { cpu_quota: 20_000, ..ResourceSettings::default() };
        assert!(conflicts(limits(0, 5, None), quota.clone()) && conflicts(quota, limits(0, 5, None)));
    }
}
