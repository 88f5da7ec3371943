//! The settings of the containers of RUN steps, as options spell them.

use std::fmt::Display;
use std::str::FromStr;

use model::{CgroupParent, CpuSet, NetworkMode, SettingError, Spelled, Ulimit, split_binary_unit};

use crate::grpc::Status;

pub(super) fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

pub(super) fn number(name: &str, value: &str) -> Result<i64, Status> {
    let wrong = |_| Status::invalid(format!("{name} is not a number: {value:?}"));
    if value.is_empty() { Ok(0) } else { value.parse().map_err(wrong) }
}

/// Bytes: a number, with `b`, `k`, `m`, `g` or `t` behind it or without; -1 is no limit.
pub(super) fn bytes(name: &str, value: &str) -> Result<i64, Status> {
    let wrong = || Status::invalid(format!("{name} is not a number of bytes: {value:?}"));
    let lower = value.to_ascii_lowercase();
    let (digits, shift) = split_binary_unit(&lower).ok_or_else(wrong)?;
    number(name, digits)?.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Processors or nodes of memory: `0-2,4`.
pub(super) fn cpu_set(name: &str, value: &str) -> Result<Spelled<CpuSet>, Status> {
    Spelled::parse(value).map_err(|_| Status::invalid(format!("{name} is not a list of numbers: {value:?}")))
}

pub(super) fn network_mode(value: &str) -> Result<NetworkMode, Status> {
    match value {
        "" | "sandbox" | "default" => Ok(NetworkMode::default()),
        "host" | "none" => {
            let Ok(mode) = value.parse();
            Ok(mode)
        }
        other => Err(Status::invalid(format!(
            "the network mode {other:?} is not known: it is default, host or none"
        ))),
    }
}

pub(super) fn cgroup_parent(value: &str) -> Option<Spelled<CgroupParent>> {
    (!value.is_empty()).then(|| Spelled::of(value))
}

/// `name=address,name=address`
pub(super) fn extra_hosts<T: FromStr<Err: Display> + Display>(
    value: &str,
) -> Result<Vec<Spelled<T>>, Status> {
    let host = |item: String| {
        let text = item.replacen('=', ":", 1);
        Spelled::parse(&text).map_err(|error| Status::invalid(format!("add-hosts: {error}")))
    };
    list(value).into_iter().map(host).collect()
}

/// `name=soft:hard,name=both`
pub(super) fn ulimits(value: &str) -> Result<Vec<Option<Ulimit>>, Status> {
    let limit = |item: String| {
        let wrong = || Status::invalid(format!("ulimit {item:?} is not name=soft:hard"));
        let (name, limits) = item.split_once('=').ok_or_else(wrong)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let name = name.parse().map_err(|error: SettingError| Status::invalid(error.to_string()))?;
        let (soft, hard) = (soft.parse().map_err(|_| wrong())?, hard.parse().map_err(|_| wrong())?);
        Ok(Some(Ulimit { name, soft, hard }))
    };
    list(value).into_iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let read: Vec<_> =
            ["100m", "5", "1GiB", "-1", ""].map(|text| bytes("memory", text).expect(text)).into();
        assert_eq!(read, [100 << 20, 5, 1 << 30, -1, 0]);
        assert!(bytes("memory", "bad").is_err() && bytes("memory", "9999999999t").is_err());
        assert!(cpu_set("cpusetcpus", "0-1").is_ok() && cpu_set("cpusetcpus", "x").is_err());
    }

    #[test]
    fn limits_are_soft_and_hard() {
        let read = ulimits("nofile=10:20,nproc=5").expect("limits");
        let numbers: Vec<_> = read.into_iter().flatten().map(|limit| (limit.soft, limit.hard)).collect();
        assert_eq!(numbers, [(10, 20), (5, 5)]);
        assert!(ulimits("nofile=x").is_err() && ulimits("nosuch=1").is_err());
    }
}
