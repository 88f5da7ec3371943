//! `CpusetCpus` and `CpusetMems`: lists of processors and memory nodes, and whether the host has them.

use std::ops::RangeInclusive;

use model::ResourceSettings;

use crate::error::Error;

/// Where the kernel lists what is online, in the form of cpuset(7).
const PROCESSORS: &str = "/sys/devices/system/cpu/online";
const MEMORY_NODES: &str = "/sys/devices/system/node/online";

/// Checks both lists.
///
/// # Errors
/// Refused when one is malformed or names what the host does not have.
pub(crate) fn check(host: &ResourceSettings) -> Result<(), Error> {
    check_list(&host.cpuset_cpus, "cpuset cpus", "CPUs", PROCESSORS)?;
    check_list(&host.cpuset_mems, "cpuset mems", "memory nodes", MEMORY_NODES)
}

fn check_list(list: &str, field: &str, things: &str, online: &str) -> Result<(), Error> {
    if list.is_empty() {
        return Ok(());
    }
    let Some(wanted) = parse(list) else {
        return Err(Error::refused(format!("Invalid value {list} for {field}")));
    };
    // A kernel without memory nodes has one.
    let online = std::fs::read_to_string(online).unwrap_or_else(|_| "0".to_owned());
    let available = parse(online.trim()).unwrap_or_default();
    if wanted.iter().all(|range| is_within(range, &available)) {
        return Ok(());
    }
    let available = online.trim();
    Err(Error::refused(format!(
        "Requested {things} are not available - requested {list}, available: {available}"
    )))
}

/// The kernel lists ranges as long as they can be, so one of them must hold the whole range.
fn is_within(range: &RangeInclusive<u32>, available: &[RangeInclusive<u32>]) -> bool {
    available.iter().any(|known| known.contains(range.start()) && known.contains(range.end()))
}

/// Numbers and ranges of numbers between commas; `None` when malformed, or when there is none.
fn parse(list: &str) -> Option<Vec<RangeInclusive<u32>>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(first..=last)
    };
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    let ranges: Vec<_> = parts.map(range).collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse("0-2,4"), Some(vec![0..=2, 4..=4]));
        assert_eq!(parse("1,0"), Some(vec![1..=1, 0..=0]));
        assert_eq!(parse("0,,1"), Some(vec![0..=0, 1..=1]));
        for bad in ["", ",", "a", "0-", "-1", "2-1", "0-1-2", "+1", "99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_within() {
        let available = [0..=1, 4..=7];
        assert!(is_within(&(0..=1), &available) && is_within(&(5..=5), &available));
        assert!(!is_within(&(1..=4), &available) && !is_within(&(8..=8), &available));
    }
}
