//! Every metric: its name and help as cAdvisor has them, its further labels, and where its values come from.

use model::{BlockCounter, BlockOperation, InterfaceCounters};

use super::reading::Reading;
use crate::wire::metrics::MetricType;

/// Further labels' values, and the value.
type Values = Vec<(Vec<String>, u64)>;

/// One metric.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Labels behind those that all metrics have.
    pub(super) labels: &'static [&'static str],
    pub(super) kind: MetricType,
    pub(super) values: fn(&Reading) -> Values,
}

const fn counter(name: &'static str, help: &'static str, values: fn(&Reading) -> Values) -> Described {
    Described { name, help, labels: &[], kind: MetricType::Counter, values }
}

const fn gauge(name: &'static str, help: &'static str, values: fn(&Reading) -> Values) -> Described {
    Described { name, help, labels: &[], kind: MetricType::Gauge, values }
}

impl Described {
    const fn with(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

fn one(value: u64) -> Values {
    vec![(Vec::new(), value)]
}

fn limit(value: i64) -> Values {
    one(u64::try_from(value).unwrap_or_default())
}

const NANOSECONDS: u64 = 1_000_000_000;
/// cAdvisor's name for the whole file system.
const DEVICE: &[&str] = &["device"];

fn of_disk(value: u64) -> Values {
    vec![(vec![String::new()], value)]
}

/// A counter of block devices, one operation of it.
fn block(reading: &Reading, counters: &str, operation: BlockOperation) -> Values {
    let found = reading.statistics.block.get(counters).into_iter().flatten();
    let wanted = found.filter(|counter| counter.operation == operation);
    wanted.map(|counter| (vec![device(counter)], counter.value)).collect()
}

fn device(counter: &BlockCounter) -> String {
    format!("{}:{}", counter.major, counter.minor)
}

fn every_block(reading: &Reading) -> Values {
    let found = reading.statistics.block.get("io_service_bytes_recursive").into_iter().flatten();
    let values = found.filter(|counter| counter.operation != BlockOperation::Unspecified).map(|counter| {
        let labels = [
            device(counter),
            counter.major.to_string(),
            counter.minor.to_string(),
            counter.operation.name().to_owned(),
        ];
        (labels.to_vec(), counter.value)
    });
    values.collect()
}

fn failures(reading: &Reading) -> Values {
    let kinds = [
        ("pgfault", ["pgfault"; 2], "container"),
        ("pgmajfault", ["pgmajfault"; 2], "container"),
        ("pgfault", ["total_pgfault", "pgfault"], "hierarchy"),
        ("pgmajfault", ["total_pgmajfault", "pgmajfault"], "hierarchy"),
    ];
    let value = |(kind, names, scope): (&str, _, &str)| {
        (vec![kind.to_owned(), scope.to_owned()], reading.memory(names))
    };
    kinds.map(value).to_vec()
}

fn interfaces(reading: &Reading, value: fn(&InterfaceCounters) -> u64) -> Values {
    let interfaces = reading.statistics.interfaces.iter();
    interfaces.map(|interface| (vec![interface.name.clone()], value(interface))).collect()
}

fn working_set(reading: &Reading) -> u64 {
    reading.statistics.memory_usage.saturating_sub(reading.memory(["total_inactive_file", "inactive_file"]))
}

/// The kernel counts its memory by itself only since version 2 of control groups; before, its stacks and slabs.
fn kernel(reading: &Reading) -> u64 {
    match reading.memory(["kernel"; 2]) {
        0 => reading.memory(["kernel_stack"; 2]) + reading.memory(["slab"; 2]),
        kernel => kernel,
    }
}

/// The metrics of each container.
pub(super) const CONTAINER: &[Described] = &[
    counter("container_blkio_device_usage_total", "Blkio device bytes usage", every_block).with(&[
        "device",
        "major",
        "minor",
        "operation",
    ]),
    counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals", |reading| {
        one(reading.statistics.throttling_periods)
    }),
    counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals", |reading| {
        one(reading.statistics.throttled_periods)
    }),
    counter(
        "container_cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled",
        |reading| one(reading.statistics.throttled_time / NANOSECONDS),
    ),
    counter(
        "container_cpu_system_seconds_total",
        "Cumulative system cpu time consumed in seconds",
        |reading| one(reading.statistics.cpu_kernel / NANOSECONDS),
    ),
    counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds", |reading| {
        one(reading.statistics.cpu_total / NANOSECONDS)
    }),
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds", |reading| {
        one(reading.statistics.cpu_user / NANOSECONDS)
    }),
    gauge("container_file_descriptors", "Number of open file descriptors for the container", |reading| {
        one(reading.open.descriptors)
    }),
    gauge("container_fs_inodes_free", "Number of available inodes", |reading| {
        of_disk(reading.disk.free_inodes)
    })
    .with(DEVICE),
    gauge("container_fs_inodes_total", "Number of inodes", |reading| of_disk(reading.disk.inodes))
        .with(DEVICE),
    gauge("container_fs_limit_bytes", "Number of bytes that can be consumed on this filesystem", |reading| {
        of_disk(reading.disk.bytes)
    })
    .with(DEVICE),
    counter("container_fs_reads_bytes_total", "Cumulative count of bytes read", |reading| {
        block(reading, "io_service_bytes_recursive", BlockOperation::Read)
    })
    .with(DEVICE),
    counter("container_fs_reads_total", "Cumulative count of reads completed", |reading| {
        block(reading, "io_serviced_recursive", BlockOperation::Read)
    })
    .with(DEVICE),
    gauge("container_fs_usage_bytes", "Number of bytes that are consumed on this filesystem", |reading| {
        of_disk(reading.layer)
    })
    .with(DEVICE),
    counter("container_fs_writes_bytes_total", "Cumulative count of bytes written", |reading| {
        block(reading, "io_service_bytes_recursive", BlockOperation::Write)
    })
    .with(DEVICE),
    counter("container_fs_writes_total", "Cumulative count of writes completed", |reading| {
        block(reading, "io_serviced_recursive", BlockOperation::Write)
    })
    .with(DEVICE),
    gauge("container_last_seen", "Last time a container was seen by the runtime", |reading| one(reading.now)),
    gauge("container_memory_cache", "Number of bytes of page cache memory", |reading| {
        one(reading.memory(["total_cache", "file"]))
    }),
    counter("container_memory_failcnt", "Number of memory usage hits limits", |reading| {
        one(reading.statistics.memory_failures)
    }),
    counter("container_memory_failures_total", "Cumulative count of memory allocation failures", failures)
        .with(&["failure_type", "scope"]),
    gauge("container_memory_kernel_usage", "Size of kernel memory allocated in bytes", |reading| {
        one(kernel(reading))
    }),
    gauge("container_memory_mapped_file", "Size of memory mapped files in bytes", |reading| {
        one(reading.memory(["total_mapped_file", "file_mapped"]))
    }),
    gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes", |reading| {
        one(reading.statistics.memory_maximum_usage)
    }),
    gauge("container_memory_rss", "Size of RSS in bytes", |reading| {
        one(reading.memory(["total_rss", "anon"]))
    }),
    gauge("container_memory_swap", "Container swap usage in bytes", |reading| {
        one(reading.memory(["total_swap", "swap"]))
    }),
    gauge("container_memory_usage_bytes", "Current memory usage in bytes, including all memory", |reading| {
        one(reading.statistics.memory_usage)
    }),
    gauge("container_memory_working_set_bytes", "Current working set in bytes", |reading| {
        one(working_set(reading))
    }),
    counter(
        "container_oom_events_total",
        "Count of out of memory events observed for the container",
        |reading| one(u64::from(reading.out_of_memory)),
    ),
    gauge("container_processes", "Number of processes running inside the container", |reading| {
        one(reading.open.processes)
    }),
    gauge("container_sockets", "Number of open sockets for the container", |reading| {
        one(reading.open.sockets)
    }),
    gauge("container_spec_cpu_period", "CPU period of the container", |reading| {
        limit(reading.limits.cpu_period)
    }),
    gauge("container_spec_cpu_quota", "CPU quota of the container", |reading| {
        limit(reading.limits.cpu_quota)
    }),
    gauge("container_spec_cpu_shares", "CPU share of the container", |reading| {
        limit(reading.limits.cpu_shares)
    }),
    gauge("container_spec_memory_limit_bytes", "Memory limit for the container", |reading| {
        limit(reading.limits.memory)
    }),
    gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container", |reading| {
        limit(reading.limits.memory_swap)
    }),
    gauge(
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds",
        |reading| one(reading.started_at),
    ),
    gauge("container_threads", "Number of threads running inside the container", |reading| {
        one(reading.statistics.processes)
    }),
    gauge(
        "container_threads_max",
        "Maximum number of threads allowed inside the container, 0 is no limit",
        |reading| one(reading.statistics.processes_limit.unwrap_or_default()),
    ),
];

/// The metrics of each pod: its network.
pub(super) const POD: &[Described] = &[
    counter("container_network_receive_bytes_total", "Cumulative count of bytes received", |reading| {
        interfaces(reading, |interface| interface.received_bytes)
    })
    .with(&["interface"]),
    counter(
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        |reading| interfaces(reading, |interface| interface.received_errors),
    )
    .with(&["interface"]),
    counter(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        |reading| interfaces(reading, |interface| interface.received_dropped),
    )
    .with(&["interface"]),
    counter("container_network_receive_packets_total", "Cumulative count of packets received", |reading| {
        interfaces(reading, |interface| interface.received_packets)
    })
    .with(&["interface"]),
    counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", |reading| {
        interfaces(reading, |interface| interface.sent_bytes)
    })
    .with(&["interface"]),
    counter(
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        |reading| interfaces(reading, |interface| interface.sent_errors),
    )
    .with(&["interface"]),
    counter(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        |reading| interfaces(reading, |interface| interface.sent_dropped),
    )
    .with(&["interface"]),
    counter(
        "container_network_transmit_packets_total",
        "Cumulative count of packets transmitted",
        |reading| interfaces(reading, |interface| interface.sent_packets),
    )
    .with(&["interface"]),
];
