//! The command line, with dockerd's names. The configuration file has the same names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// A container engine that speaks the Docker Engine API.
#[derive(Debug, Parser)]
#[command(name = "berth", version, disable_version_flag = true, max_term_width = 100)]
#[command(
    after_help = "Point any Docker client at it: DOCKER_HOST=unix:///run/berth/berth.sock docker run …"
)]
pub(crate) struct CommandLine {
    /// Print the version and exit
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the engine
    #[command(after_help = DAEMON_HELP)]
    Daemon(Box<DaemonArguments>),
    /// Make a first image without a registry, through a daemon that runs
    Image(crate::first_image::ImageArguments),
}

const DAEMON_HELP: &str = "\
Signals: TERM and INT end the daemon, containers run on (see --live-restore). HUP reads the
configuration file again: labels, debug, log-level and registry mirrors change without a restart.

A flag and the configuration file may not both set the same thing.";

/// The versions in it are those of the API's front end.
fn help_of_api_max() -> String {
    format!(
        "Serve the API up to this version, at least {}: clients that negotiate take no newer one [default: {}]",
        docker_api::REFERENCE,
        docker_api::MAX
    )
}

/// The daemon's flags and the file with more of them.
#[derive(Debug, Args)]
pub(crate) struct DaemonArguments {
    /// Read further settings from this JSON file, with the names of the flags
    #[arg(long, value_name = "FILE", default_value = "/etc/berth/daemon.json", help_heading = "Daemon")]
    pub(crate) config_file: PathBuf,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// All settings, as given: nothing is filled in.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct Flags {
    /// Listen here: unix://PATH, tcp://ADDRESS:PORT or fd:// (repeatable) [default: unix:///run/berth/berth.sock]
    #[arg(short = 'H', long = "host", value_name = "URL", help_heading = "Listening")]
    #[serde(alias = "hosts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) host: Vec<String>,
    /// Group of the unix socket, by name or number
    #[arg(short = 'G', long, value_name = "GROUP", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// Serve TCP over TLS; implied by --tlsverify
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<bool>,
    /// Serve TCP over TLS and demand a certificate that the CA signed
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlsverify: Option<bool>,
    /// Trust client certificates signed by this CA [default: ~/.docker/ca.pem]
    #[arg(long, value_name = "FILE", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlscacert: Option<PathBuf>,
    /// The daemon's certificate [default: ~/.docker/cert.pem]
    #[arg(long, value_name = "FILE", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlscert: Option<PathBuf>,
    /// The certificate's key [default: ~/.docker/key.pem]
    #[arg(long, value_name = "FILE", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlskey: Option<PathBuf>,
    /// Let pages of this origin use the API; * lets all
    #[arg(long, value_name = "ORIGIN", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_cors_header: Option<String>,
    /// Let clients without a certificate call the TCP listener by this name; addresses and localhost are always
    /// allowed (repeatable)
    #[arg(long = "allowed-host", value_name = "NAME", help_heading = "Listening")]
    #[serde(alias = "allowed-hosts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) allowed_host: Vec<String>,
    /// Serve Kubernetes' container runtime interface too, at this unix socket [default: cri.sock in the exec root]
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "", help_heading = "Listening")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cri: Option<String>,
    /// Have Kubernetes keep the image of this name when it makes room on the disk (repeatable)
    #[arg(long = "pinned-image", value_name = "IMAGE", help_heading = "Images of pods")]
    #[serde(alias = "pinned-images", skip_serializing_if = "Vec::is_empty")]
    pub(crate) pinned_image: Vec<String>,
    /// The cgroup driver of pods, which must be the kubelet's: cgroupfs or systemd [default: cgroupfs]
    #[arg(long, value_name = "DRIVER", help_heading = "Cgroups of pods")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cri_cgroup_driver: Option<String>,
    /// Look for CNI's networks of pods here; without any, pods are in berth's own [default: /etc/cni/net.d]
    #[arg(long, value_name = "DIRECTORY", help_heading = "Networks of pods")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cni_networks: Option<PathBuf>,
    /// Look for the programs of CNI's plugins here (repeatable) [default: /opt/cni/bin]
    #[arg(long = "cni-plugins", value_name = "DIRECTORY", help_heading = "Networks of pods")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cni_plugins: Vec<PathBuf>,
    #[arg(long, value_name = "VERSION", help_heading = "Listening", help = help_of_api_max())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_max: Option<String>,

    /// Where images, containers and volumes are kept [default: /var/lib/berth]
    #[arg(short = 'g', long, visible_alias = "graph", value_name = "DIRECTORY", help_heading = "Daemon")]
    #[serde(alias = "graph", skip_serializing_if = "Option::is_none")]
    pub(crate) data_root: Option<PathBuf>,
    /// Where the state of running containers is kept [default: /run/berth]
    #[arg(long, value_name = "DIRECTORY", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exec_root: Option<PathBuf>,
    /// The daemon's pid is written here [default: berth.pid in the exec root]
    #[arg(short = 'p', long, value_name = "FILE", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pidfile: Option<PathBuf>,
    /// The berth-shim program [default: beside this program]
    #[arg(long, value_name = "FILE", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shim: Option<PathBuf>,
    /// Log everything that happens
    #[arg(short = 'D', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) debug: Option<bool>,
    /// How much is logged: debug, info, warn, error or fatal [default: info]
    #[arg(short = 'l', long, value_name = "LEVEL", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_level: Option<String>,
    /// Let containers run on when the daemon ends [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Daemon")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live_restore: Option<bool>,
    /// A key=value label of the daemon, shown by info (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", help_heading = "Daemon")]
    #[serde(alias = "labels", skip_serializing_if = "Vec::is_empty")]
    pub(crate) label: Vec<String>,

    /// Connect containers to this existing bridge; none: to no network
    #[arg(short = 'b', long, value_name = "NAME", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bridge: Option<String>,
    /// Address of the daemon's own bridge, berth0, such as 10.7.0.1/16
    #[arg(long, value_name = "CIDR", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bip: Option<String>,
    /// Give containers addresses of this part of the bridge's network only
    #[arg(long, value_name = "CIDR", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_cidr: Option<String>,
    /// Give containers of the daemon's own bridge addresses of IPv6 too [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipv6: Option<bool>,
    /// The bridge's network of IPv6 [default: a unique local one]
    #[arg(long = "fixed-cidr-v6", value_name = "CIDR", help_heading = "Network")]
    #[serde(rename = "fixed-cidr-v6", skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_cidr_v6: Option<String>,
    /// Where networks that name no addresses get theirs, such as base=10.200.0.0/16,size=24 (repeatable)
    #[arg(long = "default-address-pool", value_name = "base=CIDR,size=BITS", value_parser = address_pool, help_heading = "Network")]
    #[serde(alias = "default-address-pools", skip_serializing_if = "Vec::is_empty")]
    pub(crate) default_address_pool: Vec<AddressPool>,
    /// Publish ports at this address when none is named [default: 0.0.0.0 and ::]
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
    /// Let containers reach each other without links [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icc: Option<bool>,
    /// Make firewall rules [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iptables: Option<bool>,
    /// Make firewall rules of IPv6 [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip6tables: Option<bool>,
    /// Turn the host's forwarding of packets on [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_forward: Option<bool>,
    /// Give outbound connections of containers the host's address [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_masq: Option<bool>,
    /// MTU of containers' interfaces [default: that of the default route's link]
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<u32>,
    /// DNS server of containers that name none (repeatable)
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns: Vec<String>,
    /// DNS search domain of containers that name none (repeatable)
    #[arg(long, value_name = "DOMAIN", help_heading = "Network")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns_search: Vec<String>,
    /// Whether ports that are published at the host's IPv6 reach containers of IPv4 alone [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userland_proxy: Option<bool>,

    /// How layers are put together; overlay is the only way
    #[arg(short = 's', long, value_name = "NAME", help_heading = "Containers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_driver: Option<String>,
    /// Look for specifications of devices (CDI) here; the last wins (repeatable) [default: /etc/cdi, /var/run/cdi]
    #[arg(long = "cdi-spec-dir", value_name = "DIRECTORY", help_heading = "Containers")]
    #[serde(alias = "cdi-spec-dirs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) cdi_spec_dir: Vec<PathBuf>,
    /// Give containers users of their own: default (the subordinate ones of dockremap), USER, USER:GROUP, UID or UID:GID
    #[arg(long, value_name = "USER", help_heading = "Containers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userns_remap: Option<String>,
    /// Log driver of containers that name none: json-file, local, syslog, journald, gelf, fluentd, none [default: json-file]
    #[arg(long, value_name = "NAME", help_heading = "Containers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_driver: Option<String>,
    /// Option of that log driver (repeatable)
    #[arg(long = "log-opt", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Containers")]
    #[serde(alias = "log-opts", with = "pairs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) log_opt: Vec<(String, String)>,
    /// Resource limit of containers that set none, such as nofile=1024:2048 (repeatable)
    #[arg(long = "default-ulimit", value_name = "NAME=SOFT[:HARD]", help_heading = "Containers")]
    #[serde(alias = "default-ulimits", skip_serializing_if = "Vec::is_empty")]
    pub(crate) default_ulimit: Vec<String>,
    /// The cgroup beneath which those of containers are made [default: /berth]
    #[arg(long, value_name = "PATH", help_heading = "Containers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup_parent: Option<String>,
    /// Give containers SELinux labels; refused, since it is not possible
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Containers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selinux_enabled: Option<bool>,

    /// What a compressed archive of images may become however small it is; beyond that 250 times its size
    /// [default: 10240]
    #[arg(long, value_name = "MEBIBYTES", help_heading = "Images")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unpack_allowance: Option<u64>,
    /// What is kept of builds for the next ones, without what images need too; the longest unused goes first. 0: any amount
    /// [default: a tenth of the data root's file system]
    #[arg(long, value_name = "MEBIBYTES", help_heading = "Images")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build_cache_limit: Option<u64>,

    /// Query this mirror before Docker Hub (repeatable)
    #[arg(long = "registry-mirror", value_name = "URL", help_heading = "Registries")]
    #[serde(alias = "registry-mirrors", skip_serializing_if = "Vec::is_empty")]
    pub(crate) registry_mirror: Vec<String>,
    /// Allow plain HTTP and unknown certificates here: HOST, HOST:PORT or a network (repeatable)
    #[arg(long = "insecure-registry", value_name = "REGISTRY", help_heading = "Registries")]
    #[serde(alias = "insecure-registries", skip_serializing_if = "Vec::is_empty")]
    pub(crate) insecure_registry: Vec<String>,
    /// Go on with the download of a layer that fails for as long as dockerd with so many attempts; it pauses 5, 10, 15 seconds
    /// and so on between them [default: 5]
    #[arg(long, value_name = "NUMBER", help_heading = "Registries")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_download_attempts: Option<u32>,
    /// Look for HOST:PORT/*.crt, *.cert and *.key here, not in /etc/berth/certs.d and /etc/docker/certs.d (repeatable)
    #[arg(long = "registry-certificates", value_name = "DIRECTORY", help_heading = "Registries")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) registry_certificates: Vec<PathBuf>,
}

/// A part of the addresses that networks get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressPool {
    /// Addresses and the length of their prefix.
    pub(crate) base: String,
    /// The length of the prefixes of networks.
    pub(crate) size: u8,
}

fn address_pool(text: &str) -> Result<AddressPool, String> {
    let (mut base, mut size) = (None, None);
    for part in text.split(',') {
        match key_value(part)? {
            (key, value) if key == "base" => base = Some(value),
            (key, value) if key == "size" => {
                size = Some(value.parse().map_err(|_| format!("size {value:?} is no length of a prefix"))?);
            }
            (key, _) => return Err(format!("unknown key {key:?}; want base=CIDR,size=BITS")),
        }
    }
    match (base, size) {
        (Some(base), Some(size)) => Ok(AddressPool { base, size }),
        _ => Err("want base=CIDR,size=BITS".to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("want KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Pairs are a JSON object in the file.
mod pairs {
    use super::{BTreeMap, Deserialize, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        pairs: &[(String, String)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pairs.iter().cloned().collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, String)>, D::Error> {
        BTreeMap::deserialize(deserializer).map(|map| map.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_names_the_newest_version_that_is_served() {
        let mut command = CommandLine::command();
        let daemon = command.find_subcommand_mut("daemon").expect("the daemon's flags");
        let help = daemon.render_long_help().to_string();
        let flag = help.split_once("--api-max").expect("the flag").1;
        // Its lines may break anywhere.
        let words = flag.split("--").next().unwrap_or_default().split_whitespace();
        let text = words.collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("[default: {}]", docker_api::MAX)), "{text}");
    }
}
