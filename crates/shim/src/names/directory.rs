//! Looks up names in the files of the container's networks.

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use shim_protocol::names::{Link, NamesFile, NamesOfNetwork, lookup_text};

use super::answer::Content;
use super::current_file::CurrentFile;
use super::query::Query;

/// The networks that the container is on.
#[derive(Default)]
pub(super) struct Directory {
    networks: Vec<Network>,
}

struct Network {
    file: CurrentFile,
    /// Names that the container alone has for others: alias, and the name in the file.
    links: Vec<(String, String)>,
}

impl Directory {
    /// Uses these networks from now on. Files that stay are not mapped again.
    pub(super) fn set(&mut self, networks: Vec<NamesOfNetwork>) {
        let mut known = std::mem::take(&mut self.networks);
        self.networks = networks
            .into_iter()
            .map(|network| {
                let position = known.iter().position(|known| *known.file.path() == network.file);
                let file = match position {
                    Some(position) => known.swap_remove(position).file,
                    None => CurrentFile::new(network.file),
                };
                Network { file, links: network.links.iter().filter_map(link).collect() }
            })
            .collect();
    }

    /// The files' records for a query; `None` when it is for the upstream servers.
    pub(super) fn find(&mut self, query: &Query<'_>, keeps_single_labels: bool) -> Option<Content> {
        if query.question.qclass() != Class::IN {
            return None;
        }
        let kind = query.question.qtype();
        match kind {
            Rtype::A | Rtype::AAAA => match self.addresses_of_family(&query.name, kind == Rtype::A) {
                Some(mut addresses) => {
                    shuffle(&mut addresses);
                    Some(Content::Addresses(addresses))
                }
                None if keeps_single_labels && is_single_label(&query.name) => Some(Content::Nothing),
                None => None,
            },
            Rtype::MX => self.addresses(&query.name, |_| true).map(|_| Content::Nothing),
            Rtype::PTR => self.container(super::reverse::address(&query.name)?).map(Content::Name),
            _ => None,
        }
    }

    /// The addresses of a family of a name in the first network where it has some; empty for a name that has addresses of
    /// the other family alone.
    fn addresses_of_family(&mut self, name: &str, is_ipv4: bool) -> Option<Vec<IpAddr>> {
        let is_wanted = |address: &IpAddr| address.is_ipv4() == is_ipv4;
        let found = self.addresses(name, |addresses| addresses.iter().any(is_wanted));
        if let Some(mut addresses) = found {
            addresses.retain(is_wanted);
            return Some(addresses);
        }
        self.addresses(name, |_| true).map(|_| Vec::new())
    }

    /// All addresses of a name in the first network in which they are such.
    fn addresses(&mut self, name: &str, are_such: impl Fn(&[IpAddr]) -> bool) -> Option<Vec<IpAddr>> {
        self.networks.iter_mut().find_map(|network| {
            let names = network.file.names()?;
            let find = |name: &str| find(&network.links, &names, name);
            let found = find(name).or_else(|| find(without_network(name, names.network()?)?));
            found.filter(|addresses| are_such(addresses))
        })
    }

    /// The name of the container that has an address, with the network's behind it.
    fn container(&mut self, address: IpAddr) -> Option<String> {
        self.networks.iter_mut().find_map(|network| {
            let names = network.file.names()?;
            let container = names.container(address)?;
            Some(match names.network() {
                Some(network) => format!("{container}.{network}"),
                None => container.to_owned(),
            })
        })
    }
}

fn link(link: &Link) -> Option<(String, String)> {
    Some((lookup_text(&link.alias)?, lookup_text(&link.container)?))
}

/// The container's own names win over those that all on the network have.
fn find(links: &[(String, String)], names: &NamesFile<'_>, name: &str) -> Option<Vec<IpAddr>> {
    let mut linked = links.iter().filter(|(alias, _)| alias == name);
    linked.find_map(|(_, container)| names.addresses(container)).or_else(|| names.addresses(name))
}

/// The part of a name before the network's.
fn without_network<'a>(name: &'a str, network: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(network.len())?;
    let behind = name.get(at..)?;
    if behind.eq_ignore_ascii_case(network) { name[..at].strip_suffix('.') } else { None }
}

fn is_single_label(name: &str) -> bool {
    !name.is_empty() && !name.contains('.')
}

/// Fisher and Yates' shuffle, from random bytes for each answer.
fn shuffle(addresses: &mut [IpAddr]) {
    if addresses.len() < 2 {
        return;
    }
    let mut state = u64::from_ne_bytes(sys::random::bytes()) | 1;
    for index in (1..addresses.len()).rev() {
        // Marsaglia's xorshift64: the order need not be unpredictable.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let among = index as u64 + 1;
        addresses.swap(index, usize::try_from(state % among).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_networks_name_may_have_dots_and_any_case() {
        assert_eq!(without_network("web.my.net", "My.Net"), Some("web"));
        assert_eq!(without_network("a.b.net", "net"), Some("a.b"));
        assert_eq!(without_network("webnet", "net"), None);
        assert_eq!(without_network("net", "net"), None);
        assert_eq!(without_network("net", "longer"), None);
    }

    #[test]
    fn every_address_comes_first_at_times() {
        let addresses: Vec<IpAddr> = (1..=3).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut shuffled = addresses.clone();
            shuffle(&mut shuffled);
            seen.insert(shuffled[0]);
            shuffled.sort();
            assert_eq!(shuffled, addresses);
        }
        assert_eq!(seen.len(), 3);
    }
}
