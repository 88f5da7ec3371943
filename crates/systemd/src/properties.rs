//! Limits as properties of a unit, systemd.resource-control(5) and org.freedesktop.systemd1(5).

use model::{CpuSet, Resources};
use zbus::zvariant::Value;

/// A property by its name.
pub(crate) type Property = (&'static str, Value<'static>);

/// systemd's number for no limit.
const INFINITY: u64 = u64::MAX;

/// Microseconds of a period that is not given, as the kernel has it.
const DEFAULT_PERIOD: u64 = 100_000;

/// One percent of a processor, in microseconds a second.
const PERCENT: u64 = 10_000;

/// Files whose value is a number or `max`, and their properties.
const FILES: [(&str, &str); 8] = [
    ("cpu.weight", "CPUWeight"),
    ("io.weight", "IOWeight"),
    ("memory.high", "MemoryHigh"),
    ("memory.low", "MemoryLow"),
    ("memory.max", "MemoryMax"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("pids.max", "TasksMax"),
];

/// The limits that are given; the others stay as they are.
pub(crate) fn of_resources(resources: &Resources) -> Vec<Property> {
    let numbers = [
        ("MemoryMax", resources.memory),
        ("MemorySwapMax", resources.swap_limit()),
        ("MemoryLow", resources.memory_reservation),
        ("CPUWeight", resources.cpu_weight()),
        ("TasksMax", resources.pids_limit),
    ];
    let mut properties: Vec<Property> =
        numbers.into_iter().filter_map(|(name, value)| Some((name, Value::from(value?)))).collect();
    if resources.cpu_quota.is_some() || resources.cpu_period.is_some() {
        let quota = resources.cpu_quota.and_then(|quota| u64::try_from(quota).ok());
        properties.extend(quota_of(quota.filter(|quota| *quota > 0), resources.cpu_period));
    }
    let sets = [("AllowedCPUs", &resources.cpuset_cpus), ("AllowedMemoryNodes", &resources.cpuset_mems)];
    properties
        .extend(sets.into_iter().filter_map(|(name, set)| Some((name, Value::from(bits(set.as_ref()?))))));
    properties.extend(resources.unified.iter().flat_map(|(file, value)| of_file(file, value.trim())));
    properties
}

/// A share of processors, in microseconds a period; `None` is no limit.
fn quota_of(quota: Option<u64>, period: Option<u64>) -> [Property; 2] {
    let period = period.unwrap_or(DEFAULT_PERIOD);
    // In whole percents, rounded up: systemd writes them so, and reads them again at its next reload.
    let per_second = quota.map_or(INFINITY, |quota| {
        let exact = quota.saturating_mul(1_000_000) / period.max(1);
        exact.div_ceil(PERCENT).max(1).saturating_mul(PERCENT)
    });
    [("CPUQuotaPerSecUSec", Value::from(per_second)), ("CPUQuotaPeriodUSec", Value::from(period))]
}

/// A file of cgroup version 2 as the equivalent properties; systemd has none for some others, which stay files alone.
fn of_file(file: &str, value: &str) -> Vec<Property> {
    let number = |text: &str| if text == "max" { Some(INFINITY) } else { text.parse().ok() };
    let set = |property| Some(vec![(property, Value::from(bits(&value.parse().ok()?)))]);
    let properties = match file {
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').unwrap_or((value, ""));
            let period = period.trim().parse().ok();
            number(quota).map(|quota| quota_of((quota != INFINITY).then_some(quota), period).to_vec())
        }
        "cpuset.cpus" => set("AllowedCPUs"),
        "cpuset.mems" => set("AllowedMemoryNodes"),
        _ => {
            let property = FILES.iter().find(|(name, _)| *name == file);
            // The default weight of all devices.
            let text = if file == "io.weight" { value.trim_start_matches("default ") } else { value };
            property.and_then(|(_, property)| Some(vec![(*property, Value::from(number(text)?))]))
        }
    };
    properties.unwrap_or_default()
}

/// A set as bits, the lowest number in the lowest bit of the first byte.
fn bits(set: &CpuSet) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in set.numbers() {
        let (byte, bit) = ((number / 8) as usize, number % 8);
        if bytes.len() <= byte {
            bytes.resize(byte + 1, 0);
        }
        bytes[byte] |= 1 << bit;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resources: &Resources, name: &str) -> Option<Value<'static>> {
        of_resources(resources).into_iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    #[test]
    fn only_what_is_given_becomes_a_property() {
        assert!(of_resources(&Resources::default()).is_empty());
        let resources = Resources {
            memory: Some(64 << 20),
            memory_swap: Some(96 << 20),
            cpu_shares: Some(2),
            cpu_quota: Some(50_000),
            cpu_period: Some(200_000),
            cpuset_cpus: Some("0,9".parse().expect("a set")),
            pids_limit: Some(u64::MAX),
            ..Resources::default()
        };
        let number = |name| value(&resources, name).and_then(|value| u64::try_from(value).ok());
        assert_eq!(number("MemoryMax"), Some(64 << 20));
        assert_eq!(number("MemorySwapMax"), Some(32 << 20), "systemd counts swap alone");
        assert_eq!((number("CPUWeight"), number("TasksMax")), (Some(1), Some(INFINITY)));
        assert_eq!(number("CPUQuotaPerSecUSec"), Some(250_000), "a quarter of each second");
        assert_eq!(number("CPUQuotaPeriodUSec"), Some(200_000));
        assert_eq!(value(&resources, "AllowedCPUs"), Some(Value::from(vec![1_u8, 2])));
        assert_eq!(value(&resources, "AllowedMemoryNodes"), None);
    }

    #[test]
    fn files_with_a_property_of_their_own_become_it() {
        let unified = [("memory.high", "4096"), ("memory.min", "max"), ("memory.oom.group", "1")];
        let unified = unified.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let resources = Resources { unified, ..Resources::default() };
        let expected = [("MemoryHigh", Value::from(4096_u64)), ("MemoryMin", Value::from(INFINITY))];
        assert_eq!(of_resources(&resources), expected);
        let of = |file: &str, value: &str| of_file(file, value);
        let quota = |per_second: u64, period: u64| {
            vec![("CPUQuotaPerSecUSec", Value::from(per_second)), ("CPUQuotaPeriodUSec", Value::from(period))]
        };
        assert_eq!(of("cpu.max", "50000 200000"), quota(250_000, 200_000));
        assert_eq!(of("cpu.max", "50000"), quota(500_000, 100_000));
        assert_eq!(of("cpu.max", "max 50000"), quota(INFINITY, 50_000));
        assert_eq!(of("cpuset.cpus", "0-1,9"), [("AllowedCPUs", Value::from(vec![3_u8, 2]))]);
        assert_eq!(of("cpuset.mems", "0"), [("AllowedMemoryNodes", Value::from(vec![1_u8]))]);
        for weight in ["250", "default 250"] {
            assert_eq!(of("io.weight", weight), [("IOWeight", Value::from(250_u64))]);
        }
        for (file, value) in [("io.weight", "8:0 250"), ("cpu.max", "much"), ("cpuset.cpus", "x")] {
            assert!(of(file, value).is_empty(), "{file}: {value}");
        }
    }

    #[test]
    fn a_quota_is_whole_percents_that_systemd_can_read_again() {
        for (quota, per_second) in [(33_300, 340_000), (1_500, 20_000), (1_000, 10_000), (100, 10_000)] {
            let resources = Resources { cpu_quota: Some(quota), ..Resources::default() };
            assert_eq!(
                value(&resources, "CPUQuotaPerSecUSec"),
                Some(Value::from(per_second as u64)),
                "{quota}"
            );
        }
    }

    #[test]
    fn a_quota_that_is_taken_away_is_infinite() {
        let resources = Resources { cpu_quota: Some(-1), ..Resources::default() };
        assert_eq!(value(&resources, "CPUQuotaPerSecUSec"), Some(Value::from(INFINITY)));
    }
}
