//! Whether an existing interface has the settings of a port of the bridge, so that a start of the engine changes
//! nothing on the many that have them: each change is announced to all programs that watch the host's interfaces.

use sys::netlink::attributes;

use super::interface::{ALL_GROUPS, FAMILY_IPV6, INFO_SLAVE_DATA, PORT_GROUP_FORWARD, PORT_HAIRPIN};

/// `IFLA_INET6_CONF`: settings of /proc/sys/net/ipv6/conf/<interface>, numbered as in linux/ipv6.h.
pub(super) const IPV6_SETTINGS: u16 = 2;
const ACCEPT_ROUTERS: usize = 3;
const AUTOMATIC_ADDRESSES: usize = 5;
const DISABLED: usize = 26;

/// Whether an interface has the settings of a port, by `IFLA_LINKINFO`.
pub(super) fn has_port_settings(information: &[u8]) -> bool {
    of_kind(information, INFO_SLAVE_DATA).any(|settings| {
        let is = |kind, wanted: &[u8]| of_kind(settings, kind).any(|value| value == wanted);
        is(PORT_HAIRPIN, &[1]) && is(PORT_GROUP_FORWARD, &ALL_GROUPS.to_ne_bytes())
    })
}

/// Whether an interface takes nothing of IPv6, by `IFLA_AF_SPEC`.
pub(super) fn refuses_ipv6(families: &[u8]) -> bool {
    let mut lists = of_kind(families, FAMILY_IPV6).flat_map(|of_family| of_kind(of_family, IPV6_SETTINGS));
    lists.any(|list| {
        let setting = |place: usize| {
            let bytes = list.get(place * size_of::<i32>()..)?.first_chunk()?;
            Some(i32::from_ne_bytes(*bytes))
        };
        setting(ACCEPT_ROUTERS) == Some(0)
            && setting(AUTOMATIC_ADDRESSES) == Some(0)
            && setting(DISABLED) == Some(1)
    })
}

/// The attributes of a kind among nested ones.
pub(super) fn of_kind(nested: &[u8], wanted: u16) -> impl Iterator<Item = &[u8]> {
    attributes(nested).filter(move |(kind, _)| *kind == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use model::MacAddress;

    use super::super::interface::{Attachment, Pair};
    use super::super::socket::Routing;

    /// Needs root.
    #[test]
    fn a_port_is_seen_to_have_what_it_was_given() {
        let run = || {
            sys::network_namespace::unshare().expect("root may unshare");
            let namespace = File::open("/proc/thread-self/ns/net").expect("the namespace's file");
            let mut routing = Routing::open().expect("a socket");
            routing
                .create_bridge("bridge0", MacAddress::from_bytes([2, 0, 0, 0, 0, 1]), 0)
                .expect("a bridge");
            let bridge = routing.existing_interface("bridge0").expect("the bridge");
            let pair = Pair {
                name: "port0",
                inside: "inside0",
                mac: MacAddress::from_bytes([2, 0, 0, 0, 0, 2]),
                mtu: 1500,
                group: 0,
                attachment: Attachment::Bridge(bridge.index),
                namespace: namespace.as_fd(),
            };
            routing.create_pair(&pair).expect("a pair");
            let mut is = |name: &str| {
                let interface = routing.existing_interface(name).expect(name);
                (interface.is_up, interface.has_port_settings, interface.refuses_ipv6)
            };
            assert_eq!(is("port0"), (true, true, false));
            assert_eq!(is("inside0"), (false, false, false));
            for (setting, value) in [("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", "1")] {
                assert!(!is("port0").2, "{setting} is not set yet");
                std::fs::write(format!("/proc/sys/net/ipv6/conf/port0/{setting}"), value).expect(setting);
            }
            assert_eq!(is("port0"), (true, true, true));
        };
        std::thread::spawn(run).join().expect("the thread ends well");
    }
}
