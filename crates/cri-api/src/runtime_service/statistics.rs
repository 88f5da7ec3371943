//! The usage of processors, memory and disk by containers.

use std::sync::Arc;

use engine::{Phase, Record};
use model::{Statistics, Timestamp};
use tonic::Status;

use super::RuntimeService;
use super::status_of_container::{is_wanted, item};
use crate::status::of_engine;
use crate::time::nanoseconds;
use crate::wire::container::{Container, ContainerFilter};
use crate::wire::image::{FilesystemIdentifier, FilesystemUsage};
use crate::wire::statistics::{
    ContainerAttributes, ContainerStats, ContainerStatsRequest, ContainerStatsResponse, CpuUsage,
    ListContainerStatsRequest, ListContainerStatsResponse, MemoryUsage,
};
use crate::wire::value::UInt64Value;

impl RuntimeService {
    /// `ContainerStats`
    pub(crate) async fn container_stats(
        self: Arc<Self>,
        asked: ContainerStatsRequest,
    ) -> Result<ContainerStatsResponse, Status> {
        let record = self.engine.pods.container(&asked.container_id).map_err(|error| of_engine(&error))?;
        Ok(ContainerStatsResponse { stats: Some(self.stats_of(&record).await?) })
    }

    /// `ListContainerStats`
    pub(crate) async fn list_container_stats(
        self: Arc<Self>,
        asked: ListContainerStatsRequest,
    ) -> Result<ListContainerStatsResponse, Status> {
        let filter = asked.filter.unwrap_or_default();
        let filter = ContainerFilter {
            id: filter.id,
            state: None,
            pod_sandbox_id: filter.pod_sandbox_id,
            label_selector: filter.label_selector,
        };
        let mut stats = Vec::new();
        for record in self.engine.pods.containers() {
            if !is_wanted(&item(&record), &filter) {
                continue;
            }
            // One that goes meanwhile is not listed.
            if let Ok(found) = self.stats_of(&record).await {
                stats.push(found);
            }
        }
        Ok(ListContainerStatsResponse { stats })
    }

    pub(super) async fn stats_of(&self, record: &Record) -> Result<ContainerStats, Status> {
        let Container { id, metadata, labels, annotations, .. } = item(record);
        let attributes = Some(ContainerAttributes { id, metadata, labels, annotations });
        let now = nanoseconds(Timestamp::now());
        let used = self.engine.pods.layer_size(&record.id).await.map_err(|error| of_engine(&error))?;
        let place = self.engine.options().data_root.display().to_string();
        let writable_layer = Some(FilesystemUsage {
            timestamp: now,
            fs_id: Some(FilesystemIdentifier { mountpoint: place }),
            used_bytes: value(used.bytes),
            inodes_used: value(used.inodes),
        });
        let running = matches!(record.phase, Phase::Running(_) | Phase::Paused(_));
        let (mut cpu, mut memory) = (None, None);
        if running {
            let samples = self.engine.pods.statistics(&record.id).await.map_err(|error| of_engine(&error))?;
            let statistics = &samples.present.statistics;
            cpu = Some(CpuUsage {
                timestamp: now,
                usage_core_nano_seconds: value(statistics.cpu_total),
                usage_nano_cores: None,
                psi: None,
            });
            memory = Some(memory_of(statistics, record.settings.host.resources.memory, now));
        }
        Ok(ContainerStats { attributes, cpu, memory, writable_layer, swap: None, io: None })
    }
}

pub(super) fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

/// Memory in the kubelet's words: the working set is what is used without the files that were not read lately.
pub(super) fn memory_of(statistics: &Statistics, limit: i64, timestamp: i64) -> MemoryUsage {
    let detail = |names: [&str; 2]| {
        names.iter().find_map(|name| statistics.memory_details.get(*name)).copied().unwrap_or_default()
    };
    let usage = statistics.memory_usage;
    let working_set = usage.saturating_sub(detail(["total_inactive_file", "inactive_file"]));
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
    MemoryUsage {
        timestamp,
        working_set_bytes: value(working_set),
        available_bytes: limit.and_then(|limit| value(limit.saturating_sub(working_set))),
        usage_bytes: value(usage),
        rss_bytes: value(detail(["total_rss", "anon"])),
        page_faults: value(detail(["total_pgfault", "pgfault"])),
        major_page_faults: value(detail(["total_pgmajfault", "pgmajfault"])),
        psi: None,
    }
}
