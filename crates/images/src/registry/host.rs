//! Registries' hosts: Docker Hub's many names, and hosts within addresses.

use std::net::IpAddr;

use model::RepositoryName;

/// The host part of references to Docker Hub.
pub const HUB: &str = "docker.io";
/// Where Docker Hub's registry answers.
pub(super) const HUB_REGISTRY: &str = "registry-1.docker.io";
/// Where Docker Hub's index answers: searches and old logins.
pub(super) const HUB_INDEX: &str = "index.docker.io";
/// The address under which clients keep Docker Hub's credentials.
pub const HUB_INDEX_ADDRESS: &str = "https://index.docker.io/v1/";

/// Whether a host is one of Docker Hub's names.
#[must_use]
pub fn is_hub(host: &str) -> bool {
    [HUB, HUB_REGISTRY, HUB_INDEX, "registry.hub.docker.com"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(host))
}

/// Where a repository is, with its registry: `docker.io/library/busybox`.
#[must_use]
pub fn location(repository: &RepositoryName) -> String {
    format!("{}/{}", repository.host().unwrap_or(HUB), repository.remote_path())
}

/// The host with its port of an address that may have a scheme and a path.
#[must_use]
pub(super) fn of_address(address: &str) -> &str {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    address.split('/').next().unwrap_or_default()
}

/// The host's name or address without its port and without brackets.
#[must_use]
pub(super) fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    }
}

/// The address that a host is, when it is no name.
#[must_use]
pub(super) fn address_of(host: &str) -> Option<IpAddr> {
    without_port(host).parse().ok()
}

/// Whether two addresses agree in their first bits.
pub(super) fn same_prefix(left: IpAddr, right: IpAddr, bits: u8) -> bool {
    let (left, right, width) = match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (u128::from(left.to_bits()), u128::from(right.to_bits()), 32)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => (left.to_bits(), right.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    bits == 0 || (left ^ right) >> (width - u32::from(bits).min(width)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_out_of_addresses() {
        assert_eq!(of_address("https://index.docker.io/v1/"), "index.docker.io");
        assert_eq!(of_address("127.0.0.1:5000/v2/"), "127.0.0.1:5000");
        assert_eq!(of_address("host"), "host");
        assert_eq!(without_port("[::1]:5000"), "::1");
        assert_eq!(without_port("::1"), "::1");
        assert_eq!(without_port("host:5000"), "host");
        assert_eq!(without_port("host"), "host");
    }

    #[test]
    fn the_hub_has_several_names() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.IO"] {
            assert!(is_hub(name), "{name}");
        }
        assert!(!is_hub("docker.io.example.com"));
    }
}
