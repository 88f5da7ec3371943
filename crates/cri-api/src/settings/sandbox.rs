//! A pod's sandbox: its namespaces, its names and its network.

use std::collections::BTreeMap;

use engine::CgroupDriver;
use model::{
    Attachment, BoundPort, ContainerSettings, HostAddress, HostPort, HostSettings, IdMapping, IpcMode,
    LogConfig, LogDriver, NetworkMode, NetworkReference, PidMode, Port, PortBinding, PortBindings, Protocol,
    Spelled, UtsMode,
};
use tonic::Status;

use super::refusal::{choice, unsupported};
use super::{cgroup_parent, user_namespace};
use crate::status::invalid;
use crate::wire::sandbox::{PodSandboxConfig, PortMapping};
use crate::wire::security::{NamespaceMode, NamespaceOption};

/// The sandbox of a pod.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// Its settings.
    pub(crate) settings: ContainerSettings,
    /// How the users of the pod map to the host's; `None` for the same ids.
    pub(crate) user_namespace: Option<IdMapping>,
}

/// The sandbox of a pod.
pub(crate) fn of_sandbox(config: &PodSandboxConfig, driver: CgroupDriver) -> Result<Sandbox, Status> {
    if config.metadata.is_none() {
        return Err(invalid("the pod has no metadata"));
    }
    let linux = config.linux.clone().unwrap_or_default();
    let security = linux.security_context.unwrap_or_default();
    let namespaces = security.namespace_options.unwrap_or_default();
    let user_namespace = user_namespace::mapping(namespaces.userns_options.as_ref())?;
    let network = network(&namespaces)?;
    let on_host = network == NetworkMode::Host;
    let port_bindings = if on_host { PortBindings::new() } else { ports(&config.port_mappings)? };
    let dns = config.dns_config.clone().unwrap_or_default();
    let list = |words: Vec<String>| Some(words).filter(|words| !words.is_empty());
    let servers = dns.servers.iter().map(|server| choice("dns_config.servers", server));
    let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
    let settings = ContainerSettings {
        hostname: if on_host { String::new() } else { config.hostname.clone() },
        host: HostSettings {
            network_mode: network,
            pid_mode: match namespaces.pid() {
                NamespaceMode::Node => PidMode::Host,
                NamespaceMode::Pod | NamespaceMode::Container | NamespaceMode::Target => PidMode::Default,
            },
            ipc_mode: match namespaces.ipc() {
                NamespaceMode::Node => IpcMode::Host,
                NamespaceMode::Pod | NamespaceMode::Container | NamespaceMode::Target => IpcMode::Shareable,
            },
            uts_mode: if on_host { UtsMode::Host } else { UtsMode::Default },
            port_bindings: Some(port_bindings).filter(|ports| !ports.is_empty()),
            dns: Some(servers).filter(|servers| !servers.is_empty()),
            dns_search: list(dns.searches),
            dns_options: list(dns.options),
            sysctls: Some(linux.sysctls).filter(|sysctls| !sysctls.is_empty()),
            cgroup_parent: cgroup_parent::of(&linux.cgroup_parent, driver)?,
            log: LogConfig { driver: Some(LogDriver::None), options: BTreeMap::new() },
            ..HostSettings::default()
        },
        ..ContainerSettings::default()
    };
    user_namespace::check_sandbox(user_namespace.as_ref(), &settings.host)?;
    Ok(Sandbox { settings, user_namespace })
}

fn network(namespaces: &NamespaceOption) -> Result<NetworkMode, Status> {
    match namespaces.network() {
        NamespaceMode::Node => Ok(NetworkMode::Host),
        NamespaceMode::Pod => Ok(NetworkMode::Networks(vec![Attachment::to(NetworkReference::Default)])),
        NamespaceMode::Container | NamespaceMode::Target => {
            Err(unsupported("a network that belongs to one container of a pod"))
        }
    }
}

/// The ports that are published on the host; those without a port there only name what the pod listens on.
fn ports(mappings: &[PortMapping]) -> Result<PortBindings, Status> {
    let number = |number: i32| u16::try_from(number).ok().filter(|number| *number != 0);
    let mut bindings = PortBindings::new();
    for mapping in mappings.iter().filter(|mapping| mapping.host_port != 0) {
        let protocol = match mapping.protocol {
            0 => Protocol::Tcp,
            1 => Protocol::Udp,
            _ => return Err(unsupported("published ports of SCTP")),
        };
        let wrong = || {
            let PortMapping { container_port, host_port, .. } = mapping;
            invalid(format!("port mapping {host_port}:{container_port}: ports are 1 to 65535"))
        };
        let container = number(mapping.container_port).ok_or_else(wrong)?;
        let host = number(mapping.host_port).ok_or_else(wrong)?;
        let bound = BoundPort::Port(Port { number: container, protocol });
        let host_ip = HostAddress::from(mapping.host_ip.clone());
        if let HostAddress::Unusable(text) = &host_ip {
            return Err(invalid(format!("port mapping: {text:?} is no address of the host")));
        }
        let binding = PortBinding { host_ip, host_port: Spelled::from(HostPort::Range(host, host)) };
        bindings.entry(Spelled::from(bound)).or_default().get_or_insert_default().push(binding);
    }
    Ok(bindings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sandbox::{LinuxPodSandboxConfig, PodSandboxMetadata};
    use crate::wire::security::LinuxSandboxSecurityContext;

    fn config(namespaces: NamespaceOption) -> PodSandboxConfig {
        let security_context = LinuxSandboxSecurityContext {
            namespace_options: Some(namespaces),
            ..LinuxSandboxSecurityContext::default()
        };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata::default()),
            hostname: "pod".to_owned(),
            linux: Some(LinuxPodSandboxConfig {
                security_context: Some(security_context),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        }
    }

    #[test]
    fn namespaces_are_the_pods_or_the_hosts() {
        let own = of_sandbox(&config(NamespaceOption::default()), CgroupDriver::Cgroupfs)
            .expect("settings")
            .settings;
        assert_eq!((own.host.pid_mode, own.host.ipc_mode), (PidMode::Default, IpcMode::Shareable));
        assert_eq!((own.hostname.as_str(), own.host.uts_mode), ("pod", UtsMode::Default));
        let node = NamespaceMode::Node.into();
        let options = NamespaceOption { network: node, pid: node, ipc: node, ..NamespaceOption::default() };
        let host = of_sandbox(&config(options), CgroupDriver::Cgroupfs).expect("settings").settings;
        assert_eq!((host.host.pid_mode, host.host.ipc_mode), (PidMode::Host, IpcMode::Host));
        assert_eq!((host.host.network_mode, host.host.uts_mode), (NetworkMode::Host, UtsMode::Host));
    }

    #[test]
    fn ports_of_the_host_are_published_and_others_are_not() {
        let mapping = |container_port, host_port, protocol| PortMapping {
            container_port,
            host_port,
            protocol,
            host_ip: String::new(),
        };
        let published = ports(&[mapping(80, 8080, 0), mapping(81, 0, 0), mapping(53, 5353, 1)]);
        let spelled: Vec<String> = published.expect("ports").keys().map(ToString::to_string).collect();
        assert_eq!(spelled, ["53/udp", "80/tcp"]);
        assert!(ports(&[mapping(0, 8080, 0)]).is_err() && ports(&[mapping(80, 8080, 2)]).is_err());
    }
}
