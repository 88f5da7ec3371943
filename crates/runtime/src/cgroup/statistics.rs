//! The counters of a container's cgroups, the same for v1 and v2.

use std::collections::BTreeMap;

use model::{BlockCounter, BlockOperation, Statistics};

use super::{Cgroup, file};
use crate::CgroupError;

/// cpuacct.stat counts in the clock ticks that user space sees, always 100 a second on x86-64.
const NANOSECONDS_A_TICK: u64 = 10_000_000;
const NANOSECONDS_A_MICROSECOND: u64 = 1000;

/// Fields of the API and the v1 files that fill them, the first that exists.
const BLOCK_FILES: [(&str, &[&str]); 8] = [
    (
        "io_service_bytes_recursive",
        &[
            "blkio.io_service_bytes_recursive",
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes",
        ],
    ),
    (
        "io_serviced_recursive",
        &[
            "blkio.io_serviced_recursive",
            "blkio.bfq.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
            "blkio.throttle.io_serviced",
        ],
    ),
    ("io_queue_recursive", &["blkio.io_queued_recursive", "blkio.bfq.io_queued_recursive"]),
    (
        "io_service_time_recursive",
        &["blkio.io_service_time_recursive", "blkio.bfq.io_service_time_recursive"],
    ),
    ("io_wait_time_recursive", &["blkio.io_wait_time_recursive", "blkio.bfq.io_wait_time_recursive"]),
    ("io_merged_recursive", &["blkio.io_merged_recursive", "blkio.bfq.io_merged_recursive"]),
    ("io_time_recursive", &["blkio.time_recursive", "blkio.bfq.time_recursive"]),
    ("sectors_recursive", &["blkio.sectors_recursive", "blkio.bfq.sectors_recursive"]),
];

impl Cgroup {
    /// Reads the counters. What this kernel does not count is zero.
    pub(crate) fn statistics(&self) -> Result<Statistics, CgroupError> {
        let mut statistics = Statistics::default();
        self.read_cpu(&mut statistics);
        self.read_memory(&mut statistics);
        let pids = self.legacy("pids").or_else(|| self.unified());
        statistics.processes = file::number(pids, "pids.current").unwrap_or(0);
        statistics.processes_limit = file::number(pids, "pids.max");
        statistics.block = match self.legacy("blkio") {
            Some(_) => self.legacy_block(),
            None => unified_block(&file::read_if_any(self.unified(), "io.stat")),
        };
        if statistics.processes == 0 {
            statistics.processes = u64::try_from(self.processes()?.len()).unwrap_or(u64::MAX);
        }
        Ok(statistics)
    }

    fn read_cpu(&self, statistics: &mut Statistics) {
        let Some(accounting) = self.legacy("cpuacct") else {
            let text = file::read_if_any(self.unified(), "cpu.stat");
            for (name, value) in file::numbers(&text) {
                let time = value * NANOSECONDS_A_MICROSECOND;
                match name {
                    "usage_usec" => statistics.cpu_total = time,
                    "user_usec" => statistics.cpu_user = time,
                    "system_usec" => statistics.cpu_kernel = time,
                    "nr_periods" => statistics.throttling_periods = value,
                    "nr_throttled" => statistics.throttled_periods = value,
                    "throttled_usec" => statistics.throttled_time = time,
                    _ => {}
                }
            }
            return;
        };
        statistics.cpu_total = file::number(Some(accounting), "cpuacct.usage").unwrap_or(0);
        statistics.cpu_per_processor = file::read_if_any(Some(accounting), "cpuacct.usage_percpu")
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let times = file::read_if_any(Some(accounting), "cpuacct.stat");
        statistics.cpu_user = file::flag(&times, "user").unwrap_or(0) * NANOSECONDS_A_TICK;
        statistics.cpu_kernel = file::flag(&times, "system").unwrap_or(0) * NANOSECONDS_A_TICK;
        let throttling = file::read_if_any(self.legacy("cpu"), "cpu.stat");
        statistics.throttling_periods = file::flag(&throttling, "nr_periods").unwrap_or(0);
        statistics.throttled_periods = file::flag(&throttling, "nr_throttled").unwrap_or(0);
        statistics.throttled_time = file::flag(&throttling, "throttled_time").unwrap_or(0);
    }

    fn read_memory(&self, statistics: &mut Statistics) {
        let (directory, names) = match self.legacy("memory") {
            Some(directory) => (
                Some(directory),
                ["memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes"],
            ),
            None => (self.unified(), ["memory.current", "memory.peak", "memory.max"]),
        };
        let [usage, maximum, limit] = names.map(|name| file::number(directory, name));
        statistics.memory_usage = usage.unwrap_or(0);
        statistics.memory_maximum_usage = maximum.unwrap_or(statistics.memory_usage);
        let host = self.host_memory();
        statistics.memory_limit = limit.map_or(host, |limit| limit.min(host));
        statistics.memory_failures = match file::number(directory, "memory.failcnt") {
            Some(failures) => failures,
            None => file::flag(&file::read_if_any(directory, "memory.events"), "max").unwrap_or(0),
        };
        let details = file::read_if_any(directory, "memory.stat");
        statistics.memory_details =
            file::numbers(&details).map(|(name, value)| (name.to_owned(), value)).collect();
    }

    fn host_memory(&self) -> u64 {
        let text = std::fs::read_to_string(self.proc.join("meminfo")).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kibibytes = total.and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.map_or(u64::MAX, |kibibytes| kibibytes * 1024)
    }

    fn legacy_block(&self) -> BTreeMap<String, Vec<BlockCounter>> {
        let directory = self.legacy("blkio");
        let counters = |names: &[&str]| {
            let all = names.iter().map(|name| legacy_block(&file::read_if_any(directory, name)));
            all.into_iter().find(|counters| !counters.is_empty()).unwrap_or_default()
        };
        BLOCK_FILES.iter().map(|(field, names)| ((*field).to_owned(), counters(names))).collect()
    }
}

/// Lines `8:0 Read 4096`, or `8:0 4096`; the last, `Total 4096`, belongs to no device.
fn legacy_block(text: &str) -> Vec<BlockCounter> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (device, operation, value) = match words[..] {
                [device, operation, value] => (device, operation, value),
                [device, value] => (device, "", value),
                _ => return None,
            };
            let (major, minor) = device.split_once(':')?;
            Some(BlockCounter {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                operation: BlockOperation::of(operation)?,
                value: value.parse().ok()?,
            })
        })
        .collect()
}

/// Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn unified_block(text: &str) -> BTreeMap<String, Vec<BlockCounter>> {
    let mut block: BTreeMap<String, Vec<BlockCounter>> =
        BLOCK_FILES.iter().map(|(field, _)| ((*field).to_owned(), Vec::new())).collect();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for word in words {
            let Some((key, value)) = word.split_once('=') else { continue };
            let (field, operation) = match key {
                "rbytes" => ("io_service_bytes_recursive", BlockOperation::Read),
                "wbytes" => ("io_service_bytes_recursive", BlockOperation::Write),
                "dbytes" => ("io_service_bytes_recursive", BlockOperation::Discard),
                "rios" => ("io_serviced_recursive", BlockOperation::Read),
                "wios" => ("io_serviced_recursive", BlockOperation::Write),
                "dios" => ("io_serviced_recursive", BlockOperation::Discard),
                _ => continue,
            };
            let Ok(value) = value.parse() else { continue };
            let counter = BlockCounter { major, minor, operation, value };
            block.entry(field.to_owned()).or_default().push(counter);
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_counters_of_both_versions() {
        let one = legacy_block("8:0 Read 10\n8:0 Total 10\n8:16 7\nTotal 17\n");
        let texts: Vec<String> = one
            .iter()
            .map(|counter| {
                let operation = counter.operation.name();
                format!("{}:{} {operation} {}", counter.major, counter.minor, counter.value)
            })
            .collect();
        assert_eq!(texts, ["8:0 Read 10", "8:0 Total 10", "8:16  7"]);
        let two = unified_block("8:0 rbytes=10 wbytes=20 rios=1 wios=2 odd=3\nbroken\n");
        assert_eq!(two["io_service_bytes_recursive"].len(), 2);
        assert_eq!(two["io_serviced_recursive"][1].value, 2);
        assert!(two["io_merged_recursive"].is_empty());
    }
}
