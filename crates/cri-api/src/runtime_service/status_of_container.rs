//! A container as the interface shows it.

use std::collections::BTreeMap;

use engine::{Phase, Record};
use model::{Identity, StopSignal};

use super::has_labels;
use crate::time::nanoseconds;
use crate::wire::container::{
    Container, ContainerConfig, ContainerFilter, ContainerResources, ContainerState, ContainerStatus,
    ContainerUser, LinuxContainerUser, Mount,
};
use crate::wire::security::{HugepageLimit, LinuxContainerResources};
use crate::wire::value::ImageSpec;
use crate::{description, signals};

/// A container in the list.
pub(super) fn item(record: &Record) -> Container {
    let config: ContainerConfig = description::read(record);
    let image = record.image.to_string();
    Container {
        id: record.id.to_string(),
        pod_sandbox_id: sandbox(record),
        metadata: config.metadata,
        image: config.image,
        image_ref: image.clone(),
        state: state(record).into(),
        created_at: nanoseconds(record.created),
        labels: config.labels,
        annotations: config.annotations,
        image_id: image,
    }
}

fn sandbox(record: &Record) -> String {
    let pod = record.pod.as_ref().and_then(|pod| pod.sandbox());
    pod.map(ToString::to_string).unwrap_or_default()
}

/// Whether a container matches the filter.
pub(super) fn is_wanted(container: &Container, filter: &ContainerFilter) -> bool {
    container.id.starts_with(&filter.id)
        && filter.state.as_ref().is_none_or(|wanted| wanted.state == container.state)
        && container.pod_sandbox_id.starts_with(&filter.pod_sandbox_id)
        && has_labels(&container.labels, &filter.label_selector)
}

fn state(record: &Record) -> ContainerState {
    match record.phase {
        Phase::Created | Phase::Starting => ContainerState::Created,
        Phase::Running(_) | Phase::Paused(_) => ContainerState::Running,
        Phase::Restarting | Phase::Exited | Phase::Removing => ContainerState::Exited,
    }
}

/// The full status of a container.
pub(super) fn status(record: &Record, identity: Option<Identity>) -> ContainerStatus {
    let config: ContainerConfig = description::read(record);
    let state = state(record);
    let has_ended = state == ContainerState::Exited;
    let image_ref = record.image.to_string();
    let stop_signal =
        record.settings.stop_signal.as_ref().map_or(model::Signal::TERM, |signal| StopSignal::signal(signal));
    ContainerStatus {
        id: record.id.to_string(),
        metadata: config.metadata,
        state: state.into(),
        created_at: nanoseconds(record.created),
        started_at: nanoseconds(record.started_at),
        finished_at: if has_ended { nanoseconds(record.finished_at) } else { 0 },
        exit_code: if has_ended { record.exit_code } else { 0 },
        image: Some(
            config.image.unwrap_or_else(|| ImageSpec { image: image_ref.clone(), ..ImageSpec::default() }),
        ),
        reason: if has_ended { reason(record) } else { String::new() },
        message: record.failure.as_ref().map(|failure| failure.cause().to_owned()).unwrap_or_default(),
        labels: config.labels,
        annotations: config.annotations,
        mounts: with_images(config.mounts, record),
        log_path: log_path(record),
        resources: Some(ContainerResources { linux: Some(resources(record)) }),
        image_id: image_ref.clone(),
        image_ref,
        user: identity.map(user),
        stop_signal: signals::name(stop_signal).into(),
    }
}

/// The requested mounts, those of images with the image's id.
fn with_images(mut mounts: Vec<Mount>, record: &Record) -> Vec<Mount> {
    for mount in &mut mounts {
        if let (Some(image), Some(found)) = (&mut mount.image, record.image_mounts.get(&mount.container_path))
        {
            image.image_ref = found.to_string();
        }
    }
    mounts
}

/// The user of the first process at its start.
fn user(identity: Identity) -> ContainerUser {
    let linux = LinuxContainerUser {
        uid: identity.uid.into(),
        gid: identity.gid.into(),
        supplemental_groups: identity.groups.into_iter().map(i64::from).collect(),
    };
    ContainerUser { linux: Some(linux) }
}

/// Why a container ended, with the words that the kubelet expects.
fn reason(record: &Record) -> String {
    let reason = match record.exit_code {
        _ if record.out_of_memory => "OOMKilled",
        _ if record.failed_starts > 0 => "StartError",
        0 => "Completed",
        _ => "Error",
    };
    reason.to_owned()
}

fn log_path(record: &Record) -> String {
    match record.pod.as_ref().map(|pod| &pod.part) {
        Some(engine::PodPart::Container { log: Some(path), .. }) => path.display().to_string(),
        _ => String::new(),
    }
}

/// The limits that hold now.
fn resources(record: &Record) -> LinuxContainerResources {
    let host = &record.settings.host;
    let limits = &host.resources;
    LinuxContainerResources {
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpu_shares: limits.cpu_shares,
        memory_limit_in_bytes: limits.memory,
        oom_score_adj: host.oom_score_adjustment,
        cpuset_cpus: limits.cpuset_cpus.to_string(),
        cpuset_mems: limits.cpuset_mems.to_string(),
        memory_swap_limit_in_bytes: limits.memory_swap,
        hugepage_limits: limits.huge_pages.iter().map(huge_page_limit).collect(),
        unified: limits.unified.clone(),
    }
}

fn huge_page_limit((page_size, limit): (&String, &u64)) -> HugepageLimit {
    HugepageLimit { page_size: page_size.clone(), limit: *limit }
}

/// Where a sandbox or a container is in its life, in a word.
pub(super) const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Created => "created",
        Phase::Starting => "starting",
        Phase::Running(_) => "running",
        Phase::Paused(_) => "paused",
        Phase::Restarting => "restarting",
        Phase::Exited => "exited",
        Phase::Removing => "removing",
    }
}

/// The additional information of a verbose status.
pub(super) fn info(record: &Record) -> BTreeMap<String, String> {
    let info = serde_json::json!({
        "sandboxID": sandbox(record),
        "pid": record.pid(),
        "processStatus": phase_word(record.phase),
    });
    BTreeMap::from([("info".to_owned(), info.to_string())])
}
