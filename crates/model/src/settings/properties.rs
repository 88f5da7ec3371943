//! Properties of every text that a client may send: it is refused, or shown again as it was written.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use proptest::prelude::*;

use super::*;

/// Parses a text twice over: what it means has a usual spelling, which means the same.
fn means_the_same<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Result<(), TestCaseError> {
    let Ok(parsed) = text.parse::<T>() else { return Ok(()) };
    let usual = parsed.to_string();
    prop_assert_eq!(usual.parse::<T>().ok(), Some(parsed), "{:?} is usually {:?}", text, usual);
    Ok(())
}

proptest! {
    #[test]
    fn a_port_is_spelled_in_one_way(number in 1_u16.., udp in any::<bool>(), upper in any::<bool>()) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let port = Port { number, protocol };
        prop_assert_eq!(port.to_string().parse(), Ok(port));
        let text = format!("{number}/{}", if upper { protocol.to_string().to_uppercase() } else { protocol.to_string() });
        prop_assert_eq!(Spelled::<BoundPort>::parse(&text).expect("a port").to_string(), text);
        prop_assert_eq!(number.to_string().parse(), Ok(Port { number, protocol: Protocol::Tcp }));
    }

    #[test]
    fn a_range_is_its_ports(first in any::<u16>(), last in any::<u16>()) {
        let Ok(exposed) = format!("{first}-{last}/udp").parse::<ExposedPorts>();
        let numbers: Vec<u16> = exposed.ports().map(|port| port.number).collect();
        prop_assert_eq!(numbers, (first.max(1)..=last).collect::<Vec<u16>>());
        let host = format!("{first}-{last}").parse::<HostPort>();
        prop_assert_eq!(host.is_ok(), first != 0 && first <= last);
        prop_assert_eq!(host.unwrap_or_default(), if first == 0 || first > last {
            HostPort::Ephemeral
        } else {
            HostPort::Range(first, last)
        });
    }

    #[test]
    fn spellings_of_ports_mean_what_is_shown(text in "[0-9]{0,6}(-[0-9]{0,6})?(/[a-zA-Z]{0,4})?|\\PC{0,12}") {
        means_the_same::<Port>(&text)?;
        means_the_same::<HostPort>(&text)?;
        if let Ok(spelled) = Spelled::<BoundPort>::parse(&text) {
            prop_assert_eq!(spelled.to_string(), text.clone());
        }
        let Ok(spelled) = Spelled::<ExposedPorts>::parse(&text);
        prop_assert_eq!(spelled.to_string(), text);
    }

    #[test]
    fn a_network_mode_is_shown_as_it_was_asked_for(text in "(none|host|default|bridge|container:)?\\PC{0,12}") {
        let Ok(mode) = text.parse::<NetworkMode>();
        prop_assert_eq!(mode.to_string(), if text.is_empty() { "default" } else { text.as_str() });
    }

    #[test]
    fn sets_and_words_are_shown_as_they_were_written(text in "[0-9 ,-]{0,12}|[0-9a-f:.]{0,20}|\\PC{0,12}") {
        means_the_same::<CpuSet>(&text)?;
        if let Ok(spelled) = Spelled::<CpuSet>::parse(&text) {
            prop_assert_eq!(spelled.to_string(), text.clone());
        }
        means_the_same::<NameServer>(&text)?;
        means_the_same::<CgroupParent>(&text)?;
        means_the_same::<HardwareAddress>(&text)?;
        let Ok(server) = Spelled::<NameServer>::parse(&text);
        let Ok(address) = Spelled::<HardwareAddress>::parse(&text);
        prop_assert_eq!((server.to_string(), address.to_string()), (text.clone(), text.clone()));
        prop_assert_eq!(VolumeDriverChoice::from(text.clone()).to_string(), text);
    }

    #[test]
    fn a_clean_path_stays_below_the_root_and_clean(text in "(/|\\.|\\.\\.|[a-z]|//|\\PC){0,20}") {
        let path = clean(&text);
        let names = |component: Component<'_>| matches!(component, Component::RootDir | Component::Normal(_));
        prop_assert!(path.is_absolute() && path.components().all(names), "{:?}", path);
        let again = clean(path.to_str().expect("text"));
        prop_assert_eq!(&again, &path);
        // The path resolved step by step.
        let mut steps: Vec<&str> = Vec::new();
        for step in text.split('/') {
            match step {
                "" | "." => {}
                ".." => drop(steps.pop()),
                name => steps.push(name),
            }
        }
        prop_assert_eq!(path, Path::new("/").join(steps.join("/")));
    }
}
