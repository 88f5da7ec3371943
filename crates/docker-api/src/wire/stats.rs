//! The counters of a container, in the documented shape.

use std::collections::BTreeMap;

use engine::{Record, Sample, Samples};
use model::{BlockCounter, InterfaceCounters, Statistics, Timestamp};
use serde::Serialize;

/// The block counters that are shown, in the reference's order.
const BLOCK_FIELDS: [&str; 8] = [
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
];

/// One object of `GET /containers/(id)/stats`.
#[derive(Debug, Serialize)]
pub(crate) struct WireStats<'a> {
    read: Timestamp,
    network: WireNetwork,
    precpu_stats: CpuStats<'a>,
    cpu_stats: CpuStats<'a>,
    memory_stats: MemoryStats<'a>,
    blkio_stats: BlockStats<'a>,
    /// Whose they are, as newer clients show it.
    name: String,
    id: &'a str,
    /// By interface, as newer clients read it.
    networks: BTreeMap<&'a str, WireNetwork>,
    pids_stats: ProcessStats,
}

#[derive(Debug, Default, Serialize)]
struct WireNetwork {
    rx_bytes: u64,
    rx_packets: u64,
    rx_errors: u64,
    rx_dropped: u64,
    tx_bytes: u64,
    tx_packets: u64,
    tx_errors: u64,
    tx_dropped: u64,
}

#[derive(Debug, Serialize)]
struct CpuStats<'a> {
    cpu_usage: CpuUsage<'a>,
    system_cpu_usage: u64,
    online_cpus: usize,
    throttling_data: Throttling,
}

#[derive(Debug, Serialize)]
struct CpuUsage<'a> {
    total_usage: u64,
    percpu_usage: Option<&'a [u64]>,
    usage_in_kernelmode: u64,
    usage_in_usermode: u64,
}

#[derive(Debug, Serialize)]
struct Throttling {
    periods: u64,
    throttled_periods: u64,
    throttled_time: u64,
}

#[derive(Debug, Serialize)]
struct MemoryStats<'a> {
    usage: u64,
    max_usage: u64,
    stats: &'a BTreeMap<String, u64>,
    failcnt: u64,
    limit: u64,
}

#[derive(Debug, Serialize)]
struct ProcessStats {
    current: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// All eight lists, empty where the kernel counts nothing.
#[derive(Debug)]
struct BlockStats<'a>(&'a BTreeMap<String, Vec<BlockCounter>>);

#[derive(Debug, Serialize)]
struct BlockEntry<'a> {
    major: u64,
    minor: u64,
    op: &'a str,
    value: u64,
}

impl Serialize for BlockStats<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(BLOCK_FIELDS.iter().map(|field| {
            let counters = self.0.get(*field).map(Vec::as_slice).unwrap_or_default();
            let entries = counters.iter().map(|counter| BlockEntry {
                major: counter.major,
                minor: counter.minor,
                op: &counter.operation,
                value: counter.value,
            });
            (field, entries.collect::<Vec<_>>())
        }))
    }
}

impl<'a> WireStats<'a> {
    pub(crate) fn new(samples: &'a Samples, record: &'a Record) -> Self {
        let statistics = &samples.present.statistics;
        Self {
            read: samples.present.read.unwrap_or(Timestamp::NEVER),
            network: statistics.interfaces.iter().fold(WireNetwork::default(), WireNetwork::plus),
            precpu_stats: cpu(&samples.previous),
            cpu_stats: cpu(&samples.present),
            memory_stats: MemoryStats {
                usage: statistics.memory_usage,
                max_usage: statistics.memory_maximum_usage,
                stats: &statistics.memory_details,
                failcnt: statistics.memory_failures,
                limit: statistics.memory_limit,
            },
            blkio_stats: BlockStats(&statistics.block),
            name: format!("/{}", record.name),
            id: record.id.as_str(),
            networks: networks(statistics),
            pids_stats: ProcessStats { current: statistics.processes, limit: statistics.processes_limit },
        }
    }
}

fn cpu(sample: &Sample) -> CpuStats<'_> {
    let statistics = &sample.statistics;
    let each = statistics.cpu_per_processor.as_slice();
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: statistics.cpu_total,
            percpu_usage: (!each.is_empty()).then_some(each),
            usage_in_kernelmode: statistics.cpu_kernel,
            usage_in_usermode: statistics.cpu_user,
        },
        system_cpu_usage: sample.host.spent,
        online_cpus: sample.host.count,
        throttling_data: Throttling {
            periods: statistics.throttling_periods,
            throttled_periods: statistics.throttled_periods,
            throttled_time: statistics.throttled_time,
        },
    }
}

fn networks(statistics: &Statistics) -> BTreeMap<&str, WireNetwork> {
    let one = |counters| WireNetwork::default().plus(counters);
    statistics.interfaces.iter().map(|counters| (counters.name.as_str(), one(counters))).collect()
}

impl WireNetwork {
    const fn plus(mut self, counters: &InterfaceCounters) -> Self {
        self.rx_bytes += counters.received_bytes;
        self.rx_packets += counters.received_packets;
        self.rx_errors += counters.received_errors;
        self.rx_dropped += counters.received_dropped;
        self.tx_bytes += counters.sent_bytes;
        self.tx_packets += counters.sent_packets;
        self.tx_errors += counters.sent_errors;
        self.tx_dropped += counters.sent_dropped;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_are_there_when_nothing_is_counted() {
        let value = serde_json::to_value(BlockStats(&BTreeMap::new())).expect("serialises");
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(8));
        let value = serde_json::to_value(cpu(&Sample::default())).expect("serialises");
        assert_eq!(
            (&value["throttling_data"]["periods"], &value["system_cpu_usage"]),
            (&0.into(), &0.into())
        );
    }

    #[test]
    fn interfaces_are_added_up() {
        let interface = |bytes| InterfaceCounters {
            received_bytes: bytes,
            sent_dropped: 1,
            ..InterfaceCounters::default()
        };
        let all = [interface(5), interface(7)];
        let sum = all.iter().fold(WireNetwork::default(), WireNetwork::plus);
        assert_eq!((sum.rx_bytes, sum.tx_dropped), (12, 2));
    }
}
