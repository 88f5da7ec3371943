//! The engine's options out of the flags.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use engine::images::registry::{InsecureRegistry, RegistrySettings, Retry, parse_mirror};
use engine::network::{self, BridgeChoice, InterfaceAddress, Ipv6Address, Ipv6Options, Subnet};
use engine::{AddressPools, CgroupDriver, PodNetworkDirectories};
use model::{LimitName, LogConfig, LogDriver, NameServer, Ulimit};

use super::flags::AddressPool;
use super::user_mapping::{self, AccountFiles};
use super::{Flags, SettingsError};

/// Checks and converts what concerns the engine.
pub(super) fn from_flags(flags: &Flags, exec_root: &Path) -> Result<engine::Options, SettingsError> {
    Ok(engine::Options {
        address_pools: address_pools(&flags.default_address_pool)?,
        data_root: flags.data_root.clone().unwrap_or_else(|| "/var/lib/berth".into()),
        exec_root: exec_root.to_owned(),
        // Set when they are bound.
        sockets: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        shim: shim(flags)?,
        network: network(flags)?,
        dns: name_servers(&flags.dns)?,
        dns_search: search_domains(&flags.dns_search)?,
        log: LogConfig {
            driver: Some(flags.log_driver.clone().map_or(LogDriver::JsonFile, Into::into)),
            options: flags.log_opt.iter().cloned().collect(),
        },
        ulimits: flags.default_ulimit.iter().map(|text| ulimit(text)).collect::<Result<_, _>>()?,
        labels: flags.label.clone(),
        registry: registry(flags)?,
        unpack_allowance: flags.unpack_allowance.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
        stop_containers_on_exit: flags.live_restore == Some(false),
        cdi_directories: match flags.cdi_spec_dir.as_slice() {
            [] => engine::default_cdi_directories(),
            given => given.to_vec(),
        },
        user_mapping: match flags.userns_remap.as_deref() {
            None | Some("") => None,
            Some(asked) => Some(user_mapping::resolve(asked, &AccountFiles::of_host())?),
        },
        pod_networks: flags.cri.as_ref().map(|_| pod_networks(flags)),
        pod_cgroup_driver: pod_cgroup_driver(flags)?,
        cgroup_parent: flags.cgroup_parent.clone().filter(|parent| !parent.is_empty()).map(Into::into),
    })
}

/// The cgroup driver of pods; systemd's needs the interface through which pods come.
fn pod_cgroup_driver(flags: &Flags) -> Result<CgroupDriver, SettingsError> {
    let refused = |problem: String| Err(SettingsError::flag("cri-cgroup-driver", problem));
    match flags.cri_cgroup_driver.as_deref() {
        None | Some("cgroupfs") => Ok(CgroupDriver::Cgroupfs),
        Some("systemd") if flags.cri.is_some() => Ok(CgroupDriver::Systemd),
        Some("systemd") => refused("it needs --cri".to_owned()),
        Some(other) => refused(format!("there is no cgroup driver {other:?}: it is cgroupfs or systemd")),
    }
}

/// Where networks of pods and their plugins are.
fn pod_networks(flags: &Flags) -> PodNetworkDirectories {
    PodNetworkDirectories {
        configurations: flags.cni_networks.clone().unwrap_or_else(|| "/etc/cni/net.d".into()),
        plugins: match flags.cni_plugins.as_slice() {
            [] => vec!["/opt/cni/bin".into()],
            given => given.to_vec(),
        },
    }
}

/// The shim's program: as configured, or in this program's directory.
fn shim(flags: &Flags) -> Result<PathBuf, SettingsError> {
    if let Some(path) = &flags.shim {
        return Ok(path.clone());
    }
    let own = std::env::current_exe().map_err(|error| {
        SettingsError::flag("shim", format!("cannot find this program's directory: {error}"))
    })?;
    Ok(own.with_file_name("berth-shim"))
}

fn network(flags: &Flags) -> Result<engine::network::Options, SettingsError> {
    let bip = parse("bip", flags.bip.as_deref())?;
    let defaults = engine::network::Options::default();
    let options = engine::network::Options {
        bridge: match (flags.bridge.as_deref().filter(|name| !name.is_empty()), bip) {
            (None, address) => {
                BridgeChoice::Own { name: engine::network::DEFAULT_BRIDGE.to_owned(), address }
            }
            (Some("none"), None) => BridgeChoice::None,
            (Some(name), None) => BridgeChoice::Existing(name.to_owned()),
            (Some(_), Some(_)) => {
                return Err(SettingsError::flag("bip", engine::network::OptionsError::BridgeAndAddress));
            }
        },
        fixed_cidr: parse("fixed-cidr", flags.fixed_cidr.as_deref())?,
        mtu: flags.mtu.filter(|mtu| *mtu != 0),
        ipv6: ipv6(flags)?,
        default_host_ip: parse::<IpAddr>("ip", flags.ip.as_deref())?.unwrap_or(defaults.default_host_ip),
        relay: match flags.userland_proxy {
            Some(false) => engine::network::Relay::Off,
            Some(true) | None => engine::network::Relay::On,
        },
        inter_container_communication: flags.icc.unwrap_or(defaults.inter_container_communication),
        masquerade: flags.ip_masq.unwrap_or(defaults.masquerade),
        forward: flags.ip_forward.unwrap_or(defaults.forward),
        firewall: flags.iptables.unwrap_or(defaults.firewall),
        ipv6_firewall: flags.ip6tables.unwrap_or(defaults.ipv6_firewall),
        ..defaults
    };
    options.check().map_err(|error| SettingsError::flag("bridge", error))?;
    Ok(options)
}

/// The bridge's options of IPv6. The host has the first address of its network.
fn ipv6(flags: &Flags) -> Result<Option<Ipv6Options>, SettingsError> {
    let asked: Option<Subnet<_>> = parse("fixed-cidr-v6", flags.fixed_cidr_v6.as_deref())?;
    if flags.ipv6 != Some(true) {
        return match asked {
            Some(_) => Err(SettingsError::flag("fixed-cidr-v6", "it needs --ipv6")),
            None => Ok(None),
        };
    }
    let host = |subnet: Subnet<_>| InterfaceAddress {
        address: *subnet.hosts().start(),
        prefix_length: subnet.prefix_length(),
    };
    let address = match asked {
        Some(subnet) => Ipv6Address::Exactly(host(subnet)),
        None => Ipv6Address::PresentOr(host(engine::unique_local_network())),
    };
    let gateway_mode = network::GatewayMode::default();
    Ok(Some(Ipv6Options { address, range: None, reserved: Vec::new(), gateway_mode, source: None }))
}

/// The configured pools; a family without any has its default.
fn address_pools(given: &[AddressPool]) -> Result<AddressPools, SettingsError> {
    let mut pools = AddressPools { ipv4: Vec::new(), ipv6: Vec::new() };
    for AddressPool { base, size } in given {
        let problem = |text: String| SettingsError::flag("default-address-pool", text);
        let check = |prefix_length: u8, longest: u8| match (prefix_length..=longest).contains(size) {
            true => Ok(*size),
            false => Err(problem(format!("{base} has no networks of the length {size}"))),
        };
        if let Ok(base) = base.parse::<Subnet>() {
            pools.ipv4.push((base, check(base.prefix_length(), 32)?));
        } else {
            let base: Subnet<_> =
                base.parse().map_err(|error: network::CidrError| problem(error.to_string()))?;
            pools.ipv6.push((base, check(base.prefix_length(), 128)?));
        }
    }
    if pools.ipv4.is_empty() {
        pools.ipv4 = AddressPools::default().ipv4;
    }
    Ok(pools)
}

/// Name servers are addresses.
fn name_servers(given: &[String]) -> Result<Vec<NameServer>, SettingsError> {
    let refused = |server: &String| SettingsError::flag("dns", format!("{server:?} is not an IP address"));
    let parse = |server: &String| server.parse().map(NameServer::Address).map_err(|_| refused(server));
    given.iter().map(parse).collect()
}

/// Search domains stand between blanks in resolv.conf.
fn search_domains(given: &[String]) -> Result<Vec<String>, SettingsError> {
    for domain in given {
        if domain.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            let problem = format!("{domain:?} holds blanks or control characters");
            return Err(SettingsError::flag("dns-search", problem));
        }
    }
    Ok(given.to_vec())
}

fn parse<T: std::str::FromStr>(flag: &'static str, text: Option<&str>) -> Result<Option<T>, SettingsError>
where
    T::Err: std::fmt::Display,
{
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|error| SettingsError::flag(flag, error))).transpose()
}

/// `nofile=1024:2048`; without the second number it is the first.
fn ulimit(text: &str) -> Result<Ulimit, SettingsError> {
    let error =
        || SettingsError::flag("default-ulimit", format!("invalid ulimit {text:?}, want NAME=SOFT[:HARD]"));
    let (name, values) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(error)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let soft: i64 = soft.parse().map_err(|_| error())?;
    let hard: i64 = hard.parse().map_err(|_| error())?;
    if soft > hard && hard != -1 {
        return Err(SettingsError::flag(
            "default-ulimit",
            format!("{text:?}: the soft limit is above the hard one"),
        ));
    }
    let name: LimitName = name.parse().map_err(|error| SettingsError::flag("default-ulimit", error))?;
    Ok(Ulimit { name, hard, soft })
}

/// How registries are reached.
pub(super) fn registry(flags: &Flags) -> Result<RegistrySettings, SettingsError> {
    let mirrors = flags.registry_mirror.iter().map(|mirror| parse_mirror(mirror));
    let insecure = flags.insecure_registry.iter().map(|registry| InsecureRegistry::parse(registry));
    let defaults = RegistrySettings::default();
    let certificate_directories = match flags.registry_certificates.as_slice() {
        [] => defaults.certificate_directories,
        given => given.to_vec(),
    };
    let download_retry = match flags.max_download_attempts {
        None => defaults.download_retry,
        Some(0) => {
            return Err(SettingsError::flag("max-download-attempts", "a download needs an attempt"));
        }
        Some(attempts) => Retry::of_downloads(attempts),
    };
    Ok(RegistrySettings {
        certificate_directories,
        download_retry,
        mirrors: mirrors
            .collect::<Result<_, _>>()
            .map_err(|error| SettingsError::flag("registry-mirror", error))?,
        insecure: insecure
            .collect::<Result<_, _>>()
            .map_err(|error| SettingsError::flag("insecure-registry", error))?,
        ..RegistrySettings::default()
    })
}
