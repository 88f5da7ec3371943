//! The usage of pods: the sum of their containers', and their network's.

use std::sync::Arc;

use engine::Record;
use model::{InterfaceCounters, Statistics, Timestamp};
use tonic::Status;

use super::statistics::{memory_of, value};
use super::{RuntimeService, has_labels};
use crate::description;
use crate::status::of_engine;
use crate::time::nanoseconds;
use crate::wire::sandbox::PodSandboxConfig;
use crate::wire::statistics::{
    ContainerStats, CpuUsage, LinuxPodSandboxStats, ListPodSandboxStatsRequest, ListPodSandboxStatsResponse,
    MemoryUsage, NetworkInterfaceUsage, NetworkUsage, PodSandboxAttributes, PodSandboxStats,
    PodSandboxStatsRequest, PodSandboxStatsResponse, ProcessUsage,
};
use crate::wire::value::UInt64Value;

/// The interface that a pod's addresses are of.
const INTERFACE: &str = "eth0";

impl RuntimeService {
    /// `PodSandboxStats`
    pub(crate) async fn sandbox_stats(
        self: Arc<Self>,
        asked: PodSandboxStatsRequest,
    ) -> Result<PodSandboxStatsResponse, Status> {
        let record = self.engine.pods.sandbox(&asked.pod_sandbox_id).map_err(|error| of_engine(&error))?;
        Ok(PodSandboxStatsResponse { stats: Some(self.stats_of_sandbox(&record).await?) })
    }

    /// `ListPodSandboxStats`: of the pods that run.
    pub(crate) async fn list_sandbox_stats(
        self: Arc<Self>,
        asked: ListPodSandboxStatsRequest,
    ) -> Result<ListPodSandboxStatsResponse, Status> {
        let filter = asked.filter.unwrap_or_default();
        let mut stats = Vec::new();
        for record in self.engine.pods.sandboxes() {
            let config: PodSandboxConfig = description::read(&record);
            let is_wanted = record.is_running()
                && record.id.as_str().starts_with(&filter.id)
                && has_labels(&config.labels, &filter.label_selector);
            if !is_wanted {
                continue;
            }
            // One that goes meanwhile is not listed.
            if let Ok(found) = self.stats_of_sandbox(&record).await {
                stats.push(found);
            }
        }
        Ok(ListPodSandboxStatsResponse { stats })
    }

    async fn stats_of_sandbox(&self, record: &Record) -> Result<PodSandboxStats, Status> {
        let config: PodSandboxConfig = description::read(record);
        let now = nanoseconds(Timestamp::now());
        let own = self.engine.pods.statistics(&record.id).await.map_err(|error| of_engine(&error))?;
        let own = &own.present.statistics;
        let (mut containers, mut processes) = (Vec::new(), own.processes);
        for container in self.engine.pods.containers() {
            if container.pod.as_ref().and_then(|pod| pod.sandbox()) != Some(&record.id) {
                continue;
            }
            if let Ok(samples) = self.engine.pods.statistics(&container.id).await {
                processes += samples.present.statistics.processes;
            }
            containers.extend(self.stats_of(&container).await.ok());
        }
        let linux = LinuxPodSandboxStats {
            cpu: Some(processors(own, &containers, now)),
            memory: Some(memory(&memory_of(own, 0, now), &containers)),
            network: Some(network(&own.interfaces, now)),
            process: Some(ProcessUsage { timestamp: now, process_count: value(processes) }),
            containers,
            io: None,
        };
        let attributes = PodSandboxAttributes {
            id: record.id.to_string(),
            metadata: config.metadata,
            labels: config.labels,
            annotations: config.annotations,
        };
        Ok(PodSandboxStats { attributes: Some(attributes), linux: Some(linux) })
    }
}

fn processors(own: &Statistics, containers: &[ContainerStats], timestamp: i64) -> CpuUsage {
    let used = containers.iter().filter_map(|stats| stats.cpu.as_ref()?.usage_core_nano_seconds.as_ref());
    let total = own.cpu_total + used.map(|used| used.value).sum::<u64>();
    CpuUsage { timestamp, usage_core_nano_seconds: value(total), usage_nano_cores: None, psi: None }
}

fn memory(own: &MemoryUsage, containers: &[ContainerStats]) -> MemoryUsage {
    let total = |part: fn(&MemoryUsage) -> Option<&UInt64Value>| {
        let all = containers.iter().filter_map(|stats| stats.memory.as_ref()).chain([own]);
        value(all.filter_map(part).map(|part| part.value).sum())
    };
    MemoryUsage {
        timestamp: own.timestamp,
        working_set_bytes: total(|memory| memory.working_set_bytes.as_ref()),
        available_bytes: None,
        usage_bytes: total(|memory| memory.usage_bytes.as_ref()),
        rss_bytes: total(|memory| memory.rss_bytes.as_ref()),
        page_faults: total(|memory| memory.page_faults.as_ref()),
        major_page_faults: total(|memory| memory.major_page_faults.as_ref()),
        psi: None,
    }
}

fn network(interfaces: &[InterfaceCounters], timestamp: i64) -> NetworkUsage {
    let usage = |interface: &InterfaceCounters| NetworkInterfaceUsage {
        name: interface.name.clone(),
        rx_bytes: value(interface.received_bytes),
        rx_errors: value(interface.received_errors),
        tx_bytes: value(interface.sent_bytes),
        tx_errors: value(interface.sent_errors),
    };
    let default_interface = interfaces.iter().find(|interface| interface.name == INTERFACE).map(usage);
    NetworkUsage { timestamp, default_interface, interfaces: interfaces.iter().map(usage).collect() }
}
