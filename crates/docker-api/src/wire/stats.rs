//! The counters of a container, in the documented shape.

use std::collections::BTreeMap;

use engine::images::document::EmptyObject;
use engine::{Record, Sample, Samples};
use model::{BlockCounter, InterfaceCounters, Statistics, Timestamp};
use serde::Serialize;

use crate::version::{ApiVersion, Ranged, Since, Until};

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

/// One object of `GET /containers/(id)/stats`. Versions that leave out what is not counted lack what is 0 or empty.
#[derive(Debug, Serialize)]
pub(crate) struct WireStats<'a> {
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    os_type: Since<52, &'static str>,
    read: Timestamp,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    preread: Since<24, Timestamp>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    network: Until<21, WireNetwork>,
    precpu_stats: CpuStats<'a>,
    cpu_stats: CpuStats<'a>,
    memory_stats: MemoryStats<'a>,
    blkio_stats: BlockStats<'a>,
    /// A count of Windows.
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    num_procs: Since<24, u32>,
    /// Counts of Windows.
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    storage_stats: Since<24, EmptyObject>,
    /// The container's name, as newer clients show it.
    name: String,
    id: &'a str,
    /// By interface, as newer clients read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<BTreeMap<&'a str, WireNetwork>>,
    pids_stats: ProcessStats,
}

/// Which counters stand in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All of them.
    Whole,
    /// Those that are counted.
    Counted,
}

impl Shape {
    const fn of(version: ApiVersion) -> Self {
        if version.stats_leave_out_what_is_not_counted() { Self::Counted } else { Self::Whole }
    }

    /// A counter, where it stands in the answer.
    fn shown<T: Default + PartialEq>(self, value: T) -> Option<T> {
        Some(value).filter(|value| self == Self::Whole || *value != T::default())
    }
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    system_cpu_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online_cpus: Option<usize>,
    throttling_data: Throttling,
}

#[derive(Debug, Serialize)]
struct CpuUsage<'a> {
    total_usage: u64,
    /// `null` where the kernel does not count by processor, or not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    percpu_usage: Option<Option<&'a [u64]>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<&'a BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failcnt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ProcessStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// All eight lists, empty where the kernel counts nothing; `null` where there is nothing to count, in versions that
/// leave that out.
#[derive(Debug)]
struct BlockStats<'a>(Option<&'a BTreeMap<String, Vec<BlockCounter>>>);

#[derive(Debug, Serialize)]
struct BlockEntry<'a> {
    major: u64,
    minor: u64,
    op: &'a str,
    value: u64,
}

impl Serialize for BlockStats<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            BLOCK_FIELDS.iter().map(|field| (field, self.0.map(|counters| entries(counters, field)))),
        )
    }
}

fn entries<'a>(counters: &'a BTreeMap<String, Vec<BlockCounter>>, field: &str) -> Vec<BlockEntry<'a>> {
    let counters = counters.get(field).map(Vec::as_slice).unwrap_or_default();
    let entry = |counter: &'a BlockCounter| BlockEntry {
        major: counter.major,
        minor: counter.minor,
        op: counter.operation.name(),
        value: counter.value,
    };
    counters.iter().map(entry).collect()
}

impl<'a> WireStats<'a> {
    pub(crate) fn new(samples: &'a Samples, record: &'a Record, version: ApiVersion) -> Self {
        let statistics = &samples.present.statistics;
        let shape = Shape::of(version);
        let read = |sample: &Sample| sample.read.unwrap_or(Timestamp::NEVER);
        let counts_blocks = shape == Shape::Whole || samples.present.read.is_some();
        Self {
            os_type: Ranged::at(version, || "linux"),
            read: read(&samples.present),
            preread: Ranged::at(version, || read(&samples.previous)),
            network: Ranged::at(version, || {
                statistics.interfaces.iter().fold(WireNetwork::default(), WireNetwork::plus)
            }),
            precpu_stats: cpu(&samples.previous, shape),
            cpu_stats: cpu(&samples.present, shape),
            memory_stats: MemoryStats {
                usage: shape.shown(statistics.memory_usage),
                max_usage: shape.shown(statistics.memory_maximum_usage),
                stats: Some(&statistics.memory_details)
                    .filter(|details| shape == Shape::Whole || !details.is_empty()),
                failcnt: shape.shown(statistics.memory_failures),
                limit: shape.shown(statistics.memory_limit),
            },
            blkio_stats: BlockStats(counts_blocks.then_some(&statistics.block)),
            num_procs: Ranged::at(version, || 0),
            storage_stats: Ranged::at(version, || EmptyObject {}),
            name: format!("/{}", record.name),
            id: record.id.as_str(),
            networks: shape.shown(networks(statistics)),
            pids_stats: ProcessStats {
                current: shape.shown(statistics.processes),
                limit: statistics.processes_limit,
            },
        }
    }
}

fn cpu(sample: &Sample, shape: Shape) -> CpuStats<'_> {
    let statistics = &sample.statistics;
    let each = statistics.cpu_per_processor.as_slice();
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: statistics.cpu_total,
            percpu_usage: shape.shown((!each.is_empty()).then_some(each)),
            usage_in_kernelmode: statistics.cpu_kernel,
            usage_in_usermode: statistics.cpu_user,
        },
        system_cpu_usage: shape.shown(sample.host.spent),
        online_cpus: shape.shown(sample.host.count),
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
        let none = BTreeMap::new();
        let value = serde_json::to_value(BlockStats(Some(&none))).expect("serialises");
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(8));
        assert_eq!(value["sectors_recursive"], serde_json::json!([]));
        let value = serde_json::to_value(cpu(&Sample::default(), Shape::Whole)).expect("serialises");
        assert_eq!(
            (&value["throttling_data"]["periods"], &value["system_cpu_usage"]),
            (&0.into(), &0.into())
        );
    }

    #[test]
    fn what_is_not_counted_is_left_out() {
        let value = serde_json::to_value(cpu(&Sample::default(), Shape::Counted)).expect("serialises");
        assert_eq!((value.get("system_cpu_usage"), value.get("online_cpus")), (None, None));
        assert_eq!(value["cpu_usage"].get("percpu_usage"), None);
        let value = serde_json::to_value(BlockStats(None)).expect("serialises");
        assert_eq!(value["sectors_recursive"], serde_json::Value::Null);
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
