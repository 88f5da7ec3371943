//! The content of `/etc/hosts`: the container itself, the usual names, extra hosts, links.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use model::{ErrorKind, ExtraAddress, ExtraHost};

/// The lines of every hosts file.
const USUAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// A name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum NameError {
    #[error("unable to derive the IP value for host-gateway: the engine runs without a bridge")]
    NoHostGateway,
}

impl NameError {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A line of a hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLine {
    /// The name.
    pub name: String,
    /// Its address; the only place where one of IPv6 is taken.
    pub address: IpAddr,
}

impl HostLine {
    /// Makes the line of the hosts file, `gateway` being the host's address on the default bridge.
    ///
    /// # Errors
    /// [`NameError::NoHostGateway`] when it is requested and there is no bridge.
    pub fn of(host: &ExtraHost, gateway: Option<Ipv4Addr>) -> Result<Self, NameError> {
        let address = match host.address {
            ExtraAddress::Address(address) => Some(address),
            ExtraAddress::HostGateway => gateway.map(IpAddr::V4),
        };
        let address = address.ok_or(NameError::NoHostGateway)?;
        Ok(Self { name: host.name.clone(), address })
    }
}

/// A linked container as the hosts file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedHost {
    /// Its address.
    pub address: Ipv4Addr,
    /// The link's alias.
    pub alias: String,
    /// The container's host name.
    pub hostname: String,
    /// The container's name, without a slash.
    pub name: String,
}

impl LinkedHost {
    fn line(&self) -> String {
        let mut names = vec![self.alias.as_str()];
        for name in [self.hostname.as_str(), self.name.as_str()] {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        format!("{}\t{}\n", self.address, names.join(" "))
    }
}

/// The content of a container's hosts file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Its own addresses; each has a line.
    pub addresses: Vec<IpAddr>,
    /// Its host name.
    pub hostname: String,
    /// Its domain name, or nothing.
    pub domainname: String,
    /// `ExtraHosts`.
    pub extra: Vec<HostLine>,
    /// The containers it is linked to.
    pub links: Vec<LinkedHost>,
}

impl Hosts {
    /// Makes the file's content.
    #[must_use]
    pub fn content(&self) -> String {
        let mut content = String::new();
        if !self.hostname.is_empty() {
            let own = own_names(&self.hostname, &self.domainname);
            for address in &self.addresses {
                content.push_str(&format!("{address}\t{own}\n"));
            }
        }
        content.push_str(USUAL);
        append_extra(&mut content, &self.extra);
        for link in &self.links {
            content.push_str(&link.line());
        }
        content
    }
}

/// The names that a container has for itself.
fn own_names(hostname: &str, domainname: &str) -> String {
    match domainname {
        "" => hostname.to_owned(),
        domain => format!("{hostname}.{domain} {hostname}"),
    }
}

/// Adds the line of a container's own address to an existing file, below those of its other addresses, or first of all,
/// whatever else the container itself wrote into it.
#[must_use]
pub fn with_own_address(content: &[u8], address: IpAddr, hostname: &str, domainname: &str) -> Vec<u8> {
    if hostname.is_empty() {
        return content.to_vec();
    }
    let own = own_names(hostname, domainname);
    let line = format!("{address}\t{own}\n");
    let content = without_own_address(content, address);
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let is_own = |line: &&[u8]| is_line_of_names(line, &own);
    // One without an end of line is the last and was not written by the engine.
    let behind = lines.iter().rposition(|line| is_own(line) && line.ends_with(b"\n"));
    let (above, below) = lines.split_at(behind.map_or(0, |position| position + 1));
    [above.concat(), line.into_bytes(), below.concat()].concat()
}

/// Adds the lines of those of a container's own addresses that an existing file does not have.
#[must_use]
pub fn with_missing_own_addresses(
    content: &[u8],
    addresses: &[IpAddr],
    hostname: &str,
    domainname: &str,
) -> Vec<u8> {
    let is_missing = |address: &&IpAddr| {
        let text = address.to_string();
        !content.split_inclusive(|byte| *byte == b'\n').any(|line| is_of_address(line, &text))
    };
    let missing = addresses.iter().filter(is_missing);
    missing
        .fold(content.to_vec(), |content, address| with_own_address(&content, *address, hostname, domainname))
}

/// Takes the lines of an address out of an existing file.
#[must_use]
pub fn without_own_address(content: &[u8], address: IpAddr) -> Vec<u8> {
    let text = address.to_string();
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !is_of_address(line, &text)).flatten().copied().collect()
}

/// Whether the line gives an address these names and no others.
fn is_line_of_names(line: &[u8], names: &str) -> bool {
    let Ok(line) = str::from_utf8(line) else { return false };
    line.split_whitespace().skip(1).eq(names.split_whitespace())
}

fn is_of_address(line: &[u8], address: &str) -> bool {
    line.split(u8::is_ascii_whitespace).next() == Some(address.as_bytes())
}

/// Makes the content for a container in the host's network: the host's own file and the extra
/// hosts.
#[must_use]
pub fn host_network_hosts(host: &str, extra: &[HostLine]) -> String {
    let mut content = host.to_owned();
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    append_extra(&mut content, extra);
    content
}

fn append_extra(content: &mut String, extra: &[HostLine]) {
    for host in extra {
        // Writing to a String cannot fail.
        let _ = writeln!(content, "{}\t{}", host.address, host.name);
    }
}

/// Gives the linked container its new address in an existing file, whatever else the container
/// itself wrote into it. The line is added where it is missing.
#[must_use]
pub fn with_link(content: &[u8], link: &LinkedHost) -> Vec<u8> {
    let line = link.line().into_bytes();
    let mut found = false;
    let mut result = Vec::with_capacity(content.len() + line.len());
    for old in content.split_inclusive(|byte| *byte == b'\n') {
        if !is_of_link(old, &link.alias, &link.hostname) {
            result.extend_from_slice(old);
        } else if !std::mem::replace(&mut found, true) {
            result.extend_from_slice(&line);
        }
    }
    if !found {
        if result.last().is_some_and(|byte| *byte != b'\n') {
            result.push(b'\n');
        }
        result.extend_from_slice(&line);
    }
    result
}

/// Takes a link's line out of an existing file, whatever else the container itself wrote into it.
#[must_use]
pub fn without_link(content: &[u8], alias: &str, hostname: &str) -> Vec<u8> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !is_of_link(line, alias, hostname)).flatten().copied().collect()
}

/// Whether the line is one that [`LinkedHost::line`] made. The third name may have changed since.
fn is_of_link(line: &[u8], alias: &str, hostname: &str) -> bool {
    let Ok(line) = str::from_utf8(line) else { return false };
    let mut names = line.split_whitespace().skip(1);
    names.next() == Some(alias) && (alias == hostname || names.next() == Some(hostname))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: [u8; 4]) -> LinkedHost {
        LinkedHost {
            address: address.into(),
            alias: "db".into(),
            hostname: "954569eb16e5".into(),
            name: "web".into(),
        }
    }

    fn extra(text: &str, gateway: Option<[u8; 4]>) -> Result<HostLine, NameError> {
        HostLine::of(&text.parse().expect("an entry"), gateway.map(Ipv4Addr::from))
    }

    #[test]
    fn the_file_lists_itself_the_usual_names_extras_and_links() {
        let hosts = Hosts {
            addresses: vec![[172, 17, 0, 84].into()],
            hostname: "h".into(),
            domainname: "example.org".into(),
            extra: vec![extra("x:10.0.0.1", None).expect("an entry")],
            links: vec![link([172, 17, 0, 46])],
        };
        let content = hosts.content();
        let lines: Vec<_> = content.lines().collect();
        assert_eq!(lines[0], "172.17.0.84\th.example.org h");
        assert_eq!(lines[1..7].join("\n") + "\n", USUAL);
        assert_eq!(lines[7..], ["10.0.0.1\tx", "172.17.0.46\tdb 954569eb16e5 web"]);
        assert_eq!(Hosts::default().content(), USUAL);
    }

    #[test]
    fn a_new_address_changes_only_the_links_line() {
        let with = |content: &str, address| {
            String::from_utf8(with_link(content.as_bytes(), &link(address))).expect("text")
        };
        let old = "1.1.1.1\tother\n172.17.0.46\tdb 954569eb16e5 web\n# mine";
        let new = with(old, [172, 17, 0, 99]);
        assert_eq!(new, "1.1.1.1\tother\n172.17.0.99\tdb 954569eb16e5 web\n# mine");
        assert_eq!(with("a", [1, 2, 3, 4]), "a\n1.2.3.4\tdb 954569eb16e5 web\n");
        let renamed = "172.17.0.46\tdb 954569eb16e5 old\n172.17.0.46\tdb other\n";
        assert_eq!(with(renamed, [1, 2, 3, 4]), "1.2.3.4\tdb 954569eb16e5 web\n172.17.0.46\tdb other\n");
        assert_eq!(without_link(renamed.as_bytes(), "db", "954569eb16e5"), b"172.17.0.46\tdb other\n");
    }

    #[test]
    fn own_addresses_come_and_go() {
        let old = b"10.0.0.2\th.example.org h\n127.0.0.1\tlocalhost\n";
        let both = with_own_address(old, [10, 1, 0, 2].into(), "h", "example.org");
        assert_eq!(both, b"10.0.0.2\th.example.org h\n10.1.0.2\th.example.org h\n127.0.0.1\tlocalhost\n");
        assert_eq!(without_own_address(&both, [10, 1, 0, 2].into()), old);
        let alone = with_own_address(b"127.0.0.1\tlocalhost\n", [10, 0, 0, 2].into(), "h", "example.org");
        assert_eq!(alone, b"10.0.0.2\th.example.org h\n127.0.0.1\tlocalhost\n", "first of all");
        assert_eq!(with_own_address(old, [10, 1, 0, 2].into(), "", ""), old);
        let addresses = [[10, 0, 0, 2].into(), [10, 1, 0, 2].into()];
        assert_eq!(with_missing_own_addresses(old, &addresses, "h", "example.org"), both);
        assert_eq!(with_missing_own_addresses(&both, &addresses, "h", "example.org"), both);
        assert_eq!(with_missing_own_addresses(b"", &addresses, "h", ""), b"10.0.0.2\th\n10.1.0.2\th\n");
    }

    #[test]
    fn what_is_not_utf_8_stays_as_it_is() {
        let old = b"1.1.1.1\tcaf\xe9\n172.17.0.46\tdb 954569eb16e5 web\n";
        let new = b"1.1.1.1\tcaf\xe9\n1.2.3.4\tdb 954569eb16e5 web\n";
        assert_eq!(with_link(old, &link([1, 2, 3, 4])), new);
    }

    #[test]
    fn host_gateway_is_the_bridges_address() {
        let line =
            |address: &str| HostLine { name: "h".into(), address: address.parse().expect("an address") };
        assert_eq!(extra("h:host-gateway", Some([172, 17, 0, 1])), Ok(line("172.17.0.1")));
        assert_eq!(extra("h:10.0.0.1", Some([172, 17, 0, 1])), Ok(line("10.0.0.1")));
        assert_eq!(extra("h:host-gateway", None), Err(NameError::NoHostGateway));
    }
}
