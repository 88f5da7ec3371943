//! A container's places in networks, as its record has them.

use std::cmp::Reverse;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::{Attachment, ContainerSettings, EndpointId, NetworkId, NetworkMode, NetworkReference};

/// The predefined network of containers that name none.
pub(crate) const BRIDGE: &str = "bridge";
/// The predefined network that is the host's.
pub(crate) const HOST: &str = "host";
/// The predefined network that has nothing.
pub(crate) const NONE: &str = "none";

/// A container's place in one network, also while it does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The container's requested settings in the network.
    pub attachment: Attachment,
    /// The network, from the first time on that the container was in it.
    pub network: Option<NetworkId>,
    /// The network's name, or how the client named it while the container never was in it.
    pub name: String,
    /// Whether the network has no way outside.
    pub internal: bool,
    /// The id of the place while the container is in the network.
    pub id: Option<EndpointId>,
    /// Its lease in the network while the container is connected; `None` in `host` and `none` too.
    pub lease: Option<network::Endpoint>,
}

impl Endpoint {
    /// An endpoint that was requested and has no address yet.
    pub(crate) fn asked(attachment: Attachment) -> Self {
        let name = match attachment.network.is_default() {
            true => BRIDGE.to_owned(),
            false => attachment.network.as_str().to_owned(),
        };
        Self { attachment, network: None, name, internal: false, id: None, lease: None }
    }

    /// The container has left the network.
    pub(crate) fn clear(&mut self) {
        self.id = None;
        self.lease = None;
    }

    /// Whether it is in the default network.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.name == BRIDGE
    }

    /// Whether others in the network find the container by names: in those that clients made.
    #[must_use]
    pub fn has_names(&self) -> bool {
        ![BRIDGE, HOST, NONE].contains(&self.name.as_str())
    }

    /// Smaller for an endpoint that gives the default route rather than another: the higher priority, a
    /// network that leads somewhere, the name that sorts first.
    pub(crate) fn gateway_order(&self) -> impl Ord + use<> {
        (self.internal, Reverse(self.attachment.gateway_priority), self.name.clone())
    }
}

/// The places of a container with these settings.
pub(crate) fn of_settings(settings: &ContainerSettings) -> Vec<Endpoint> {
    let named = |name: &str| Endpoint::asked(Attachment::to(NetworkReference::Named(name.to_owned())));
    match &settings.host.network_mode {
        _ if settings.network_disabled => vec![named(NONE)],
        NetworkMode::Networks(attachments) => attachments.iter().cloned().map(Endpoint::asked).collect(),
        NetworkMode::Host => vec![named(HOST)],
        NetworkMode::None => vec![named(NONE)],
        NetworkMode::Container(_) => Vec::new(),
    }
}

/// The endpoint that gives the default route and has the published ports: of those that are in use, the
/// first that leads somewhere.
pub(crate) fn gateway(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    let leading = endpoints.iter().filter(|endpoint| endpoint.lease.is_some() && !endpoint.internal);
    leading.min_by_key(|endpoint| endpoint.gateway_order())
}

/// Where the default route of IPv6 leads: the interface and the gateway of the first that gives one, which need not
/// be the one of IPv4. An unspecified gateway means the interface itself.
pub(crate) fn ipv6_default_route(endpoints: &[Endpoint]) -> Option<(&str, Ipv6Addr)> {
    default_route(endpoints, network::Endpoint::ipv6_default_route)
}

/// The same of IPv4.
pub(crate) fn ipv4_default_route(endpoints: &[Endpoint]) -> Option<(&str, Ipv4Addr)> {
    default_route(endpoints, network::Endpoint::ipv4_default_route)
}

fn default_route<A>(
    endpoints: &[Endpoint],
    gateway: impl Fn(&network::Endpoint) -> Option<A>,
) -> Option<(&str, A)> {
    let leading = endpoints.iter().filter_map(|endpoint| {
        let lease = endpoint.lease.as_ref()?;
        Some((endpoint, (lease.interface_name.as_str(), gateway(lease)?)))
    });
    leading.min_by_key(|(endpoint, _)| endpoint.gateway_order()).map(|(_, route)| route)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, gateway_priority: i64, internal: bool) -> Endpoint {
        let attachment = Attachment::to(NetworkReference::Named(name.to_owned()));
        Endpoint { internal, ..Endpoint::asked(Attachment { gateway_priority, ..attachment }) }
    }

    #[test]
    fn the_default_route_follows_priority_then_name_and_never_an_internal_network() {
        let mut all = [
            endpoint("b", 0, false),
            endpoint("a", 0, false),
            endpoint("i", 9, true),
            endpoint("c", 1, false),
        ];
        all.sort_by_key(Endpoint::gateway_order);
        assert_eq!(all.map(|endpoint| endpoint.name), ["c", "a", "b", "i"]);
    }

    #[test]
    fn settings_say_which_networks_a_container_is_in() {
        let names = |mode: &str, network_disabled| {
            let mut settings = ContainerSettings { network_disabled, ..ContainerSettings::default() };
            let Ok(network_mode) = mode.parse();
            settings.host.network_mode = network_mode;
            of_settings(&settings).into_iter().map(|endpoint| endpoint.name).collect::<Vec<_>>()
        };
        assert_eq!(names("", false), ["bridge"]);
        assert_eq!(names("default", false), ["bridge"]);
        assert_eq!(names("own", false), ["own"]);
        assert_eq!(names("host", false), ["host"]);
        assert_eq!(names("none", false), ["none"]);
        assert_eq!(names("own", true), ["none"]);
        assert!(names("container:web", false).is_empty());
    }
}
