//! Names that a container uses for others: linked containers and lines of its hosts file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{ContainerReference, SettingError};

/// A container that another one can reach by an alias: `name:alias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// The container that is linked to.
    pub target: ContainerReference,
    /// The alias for the target; the target's own name where none is given.
    pub alias: String,
}

impl FromStr for LinkRequest {
    type Err = SettingError;

    /// Parses `name:alias`, `name`, or the form that inspect shows, `/name:/parent/alias`.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.is_empty() {
            return Err(SettingError::EmptyLink);
        }
        let malformed = || SettingError::Link(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (target, alias) = match parts[..] {
            [target] => (target, target),
            [target, alias] => (target, alias),
            _ => return Err(malformed()),
        };
        let target = target.strip_prefix('/').unwrap_or(target);
        let alias = alias.rsplit('/').next().filter(|alias| !alias.is_empty()).unwrap_or(target);
        if !alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            return Err(malformed());
        }
        Ok(Self { target: ContainerReference(target.to_owned()), alias: alias.to_owned() })
    }
}

impl fmt::Display for LinkRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.target.as_str(), self.alias)
    }
}

/// A line of a container's hosts file: `name:address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: ExtraAddress,
}

/// The address of a line of a hosts file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraAddress {
    /// This one; the only place where one of IPv6 is taken.
    Address(IpAddr),
    /// The host's address on the default bridge.
    HostGateway,
}

/// The word for the host's address in place of one.
const HOST_GATEWAY: &str = "host-gateway";

impl FromStr for ExtraHost {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let malformed = || SettingError::ExtraHost(text.to_owned());
        let (name, address) = text.split_once(':').ok_or_else(malformed)?;
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter == '#') {
            return Err(malformed());
        }
        let name = name.to_owned();
        if address == HOST_GATEWAY {
            return Ok(Self { name, address: ExtraAddress::HostGateway });
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = bare.parse().map_err(|_| SettingError::ExtraAddress(address.to_owned()))?;
        Ok(Self { name, address: ExtraAddress::Address(address) })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            ExtraAddress::Address(address) => write!(formatter, "{}:{address}", self.name),
            ExtraAddress::HostGateway => write!(formatter, "{}:{HOST_GATEWAY}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_parse_in_three_spellings() {
        let link = |target: &str, alias: &str| {
            Ok(LinkRequest { target: ContainerReference(target.into()), alias: alias.into() })
        };
        assert_eq!("db:database".parse(), link("db", "database"));
        assert_eq!("db".parse(), link("db", "db"));
        assert_eq!("db:".parse(), link("db", "db"));
        assert_eq!("/db:/web/database".parse(), link("db", "database"));
        assert_eq!(":x".parse(), link("", "x"));
        let text = |link: &str| link.parse::<LinkRequest>().map_err(|error| error.to_string());
        assert_eq!(text(""), Err("empty string specified for links".into()));
        assert_eq!(text("a:b:c"), Err("bad format for links: a:b:c".into()));
        for bad in ["a:b c", "a:b\n6.6.6.6 bank", "a:b=c", "a:\u{e9}"] {
            assert_eq!(bad.parse::<LinkRequest>(), Err(SettingError::Link(bad.into())));
        }
    }

    #[test]
    fn extra_hosts_need_name_and_address() {
        let address = "x:::1".parse::<ExtraHost>().map(|host| host.address);
        assert_eq!(address, Ok(ExtraAddress::Address("::1".parse().expect("an address of IPv6"))));
        for bad in ["", "x", ":1.2.3.4", "x:", "x:foo", "a b:1.2.3.4", "a\n6.6.6.6 b:1.2.3.4"] {
            assert!(bad.parse::<ExtraHost>().is_err(), "{bad}");
        }
    }
}
