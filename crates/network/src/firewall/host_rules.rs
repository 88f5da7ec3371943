//! The host's own rules, where they drop forwarded packets.
//!
//! In nf_tables a packet passes only when every table lets it pass, so a host that drops what it forwards (as dockerd
//! sets it up: policy DROP of iptables' chain FORWARD) drops containers' packets regardless of the engine's own table.
//! Where that chain has that policy, the engine appends rules of its own to it, marked with a comment: what comes from
//! or goes to its bridges and interfaces ([`super::passing`]) passes instead of meeting the policy. All rules of the
//! host stand before them and keep their effect (DOCKER-USER too), nothing of the host's is changed, and the engine's
//! own table still decides what containers may do. The rules are removed with the table.
//!
//! The engine checks when the network opens, before it connects a container and when another program changes
//! rules, so another engine may also be started later. Where another table drops, or iptables-legacy is in
//! use, the administrator gets a warning instead.

use std::path::Path;

use rustix::io::Errno;
use sys::netlink::{self, Message, Reply, attributes};

use super::expression::Groups;
use super::family::Family;
use super::passing::{self, CONTAINERS, KnownBy, Passing};
use super::transaction::{self, Table, Transaction};
use super::{Firewall, Layout};
use crate::error::Error;

/// iptables' table and the chain in question.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";
/// The table of firewalld, in the family inet.
const FIREWALLD: &str = "firewalld";
/// Answers to NFT_MSG_GETCHAIN and NFT_MSG_GETRULE, the messages themselves, their attributes.
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const HOOK_NUMBER: u16 = 1;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_USER_DATA: u16 = 7;
/// `NF_DROP`, `NF_INET_FORWARD`.
const DROP: u32 = 0;
const HOOK_FORWARD: u32 = 2;
/// `NFTNL_UDATA_RULE_COMMENT` of libnftnl, by which nft and iptables show it.
const COMMENT: u8 = 0;
const HEADER: usize = 4;

/// A chain of whatever table.
struct Chain {
    table: String,
    name: String,
    hook: Option<u32>,
    policy: Option<u32>,
}

impl Firewall {
    /// Makes iptables' chain pass what comes from and goes to containers, where it would drop it.
    pub(crate) fn forward_on_host(&mut self) -> Result<(), Error> {
        self.stop_forwarding_on_host()?;
        self.forward_if_needed()
    }

    /// Does so when it has become needed since: another engine was started.
    pub(crate) fn forward_if_needed(&mut self) -> Result<(), Error> {
        for family in self.families() {
            if self.forwarding_on_host.contains(&family) || self.policy(family)? != Some(DROP) {
                continue;
            }
            if self.pass_on_host(family)? == Presence::There {
                self.forwarding_on_host.push(family);
            }
        }
        Ok(())
    }

    /// Makes the rules of all networks, by names where the kernel cannot match groups.
    fn pass_on_host(&mut self, family: Family) -> Result<Presence, Error> {
        let by_group = self.append_passing(family, &passing::of_all(&self.networks, family, self.known_by));
        let by_group = self.commit_on_host(by_group)?;
        if by_group == Presence::There || self.known_by == KnownBy::Name {
            return Ok(by_group);
        }
        // Where the chain is gone meanwhile, the error is the same.
        if self.policy(family)? != Some(DROP) {
            return Ok(Presence::Gone);
        }
        self.known_by = KnownBy::Name;
        let by_name = self.append_passing(family, &passing::of_all(&self.networks, family, KnownBy::Name));
        self.commit_on_host(by_name)
    }

    /// Has the chain pass what is of a new network too, where it passes what is of the others.
    pub(super) fn forward_network_on_host(&mut self, network: &Layout) -> Result<(), Error> {
        for family in self.forwarding_on_host.clone() {
            let of_network = passing::of_network(network, family, self.known_by);
            if of_network.is_empty() {
                continue;
            }
            let transaction = self.append_passing(family, &of_network);
            // With the chain went what is of the others.
            if self.commit_on_host(transaction)? == Presence::Gone {
                self.forwarding_on_host.retain(|other| *other != family);
            }
        }
        Ok(())
    }

    /// Takes the rules of a network that goes out of the chain.
    pub(super) fn stop_forwarding_network_on_host(&mut self, network: &Layout) -> Result<(), Error> {
        let own = Rules::Of(network.number);
        for family in self.forwarding_on_host.clone() {
            if !passing::of_network(network, family, self.known_by).is_empty() {
                self.remove_rules(family, own)?;
            }
        }
        Ok(())
    }

    /// Has the engine's rules in iptables' chain exactly while it would drop containers' packets.
    pub(crate) fn follow_host(&mut self) -> Result<(), Error> {
        for family in self.families() {
            let needed = self.policy(family)? == Some(DROP);
            let present = self.rules(family, Rules::All)?.len();
            let passing = passing::of_all(&self.networks, family, self.known_by).len();
            let wanted = if needed { passing::RULES * passing } else { 0 };
            if present != wanted {
                return self.forward_on_host();
            }
            self.forwarding_on_host.retain(|other| *other != family);
            self.forwarding_on_host.extend(needed.then_some(family));
        }
        Ok(())
    }

    fn families(&self) -> Vec<Family> {
        self.tables.routed().map(|(family, _)| family).collect()
    }

    /// Appends rules that let this pass to the chain.
    fn append_passing(&self, family: Family, passing: &[Passing<'_>]) -> Transaction {
        passing.iter().fold(Transaction::new(&host_table(family)), |transaction, passing| {
            passing.append(transaction, (CHAIN, &self.comment(passing.network())), family)
        })
    }

    /// Changes the host's chain, which may have been removed.
    fn commit_on_host(&mut self, transaction: Transaction) -> Result<Presence, Error> {
        match self.commit(transaction) {
            Err(Error::Firewall { source }) if source.is(Errno::NOENT) => Ok(Presence::Gone),
            result => result.map(|()| Presence::There),
        }
    }

    /// Takes the engine's rules out of iptables' chain.
    pub(super) fn stop_forwarding_on_host(&mut self) -> Result<(), Error> {
        self.families().into_iter().try_for_each(|family| self.remove_rules(family, Rules::All))?;
        self.forwarding_on_host.clear();
        Ok(())
    }

    fn remove_rules(&mut self, family: Family, wanted: Rules) -> Result<(), Error> {
        let handles = self.rules(family, wanted)?;
        if handles.is_empty() {
            return Ok(());
        }
        let delete = |transaction: Transaction, handle: &Vec<u8>| transaction.delete_rule(CHAIN, handle);
        self.commit(handles.iter().fold(Transaction::new(&host_table(family)), delete))
    }

    /// Warnings about other rules of the host that drop forwarded packets.
    pub(crate) fn warnings(&mut self) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let bridge = self.default_bridge();
        let [source, destination] = self.matches_for_others();
        // Both tables are called "ip filter", so one that iptables-legacy keeps is not seen here.
        if !self.checks_sources() {
            warnings.push(
                "this kernel has no nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE): containers with NET_RAW \
                 can take each other's addresses; run those that you do not trust with --cap-drop NET_RAW"
                    .to_owned(),
            );
        }
        let legacy = std::fs::read_to_string(Path::new("/proc/thread-self/net/ip_tables_names"));
        if legacy.is_ok_and(|names| names.lines().any(|name| name == TABLE)) {
            warnings.push(format!(
                "iptables-legacy is in use; if its chain FORWARD drops packets, containers reach \
                 nothing until you say: iptables-legacy -I FORWARD {source} -j ACCEPT; \
                 iptables-legacy -I FORWARD {destination} -j ACCEPT"
            ));
        }
        let chains = self.chains()?;
        if chains.iter().any(|chain| chain.table == FIREWALLD) {
            warnings.push(format!(
                "firewalld is in use and rejects what it forwards for interfaces without a zone; say: \
                 firewall-cmd --permanent --zone=trusted --add-interface={bridge}; firewall-cmd --reload"
            ));
        }
        for chain in chains {
            let ours = chain.table == self.tables.ip.name || (chain.table == TABLE && chain.name == CHAIN);
            if chain.hook == Some(HOOK_FORWARD) && chain.policy == Some(DROP) && !ours {
                warnings.push(format!(
                    "the chain {} of the nftables table {} drops forwarded packets; let those pass there that match, in \
                     the words of iptables, {source} or {destination}",
                    chain.name, chain.table
                ));
            }
        }
        Ok(warnings)
    }

    /// The iptables matches for packets from containers, and to them: by the groups of their interfaces, or by the bridge
    /// of the default network where that was made elsewhere or the kernel cannot match groups.
    fn matches_for_others(&self) -> [String; 2] {
        let is_own = self.networks.first().is_some_and(|network| network.has_own_bridge);
        if is_own && self.known_by == KnownBy::Group {
            let Groups { group, mask } = CONTAINERS;
            return ["src", "dst"].map(|end| format!("-m devgroup --{end}-group {group:#x}/{mask:#x}"));
        }
        let bridge = self.default_bridge();
        ["-i", "-o"].map(|end| format!("{end} {bridge}"))
    }

    /// The bridge of the default network, which is the first.
    fn default_bridge(&self) -> String {
        self.networks.first().map(|network| network.bridge.clone()).unwrap_or_default()
    }

    /// The policy of iptables' chain, where there is one.
    fn policy(&mut self, family: Family) -> Result<Option<u32>, Error> {
        let message = transaction::request(GET_CHAIN, netlink::ACKNOWLEDGE, family.number())
            .string(CHAIN_TABLE, TABLE)
            .string(CHAIN_NAME, CHAIN);
        match self.socket.request(&[message]) {
            Ok(replies) => Ok(replies
                .iter()
                .find_map(|reply| parse_chain(&reply.payload))
                .and_then(|chain| chain.policy)),
            Err(error) if error.is(Errno::NOENT) => Ok(None),
            Err(source) => Err(Error::Firewall { source }),
        }
    }

    /// Lists the chains of all tables for IPv4 and IPv6, those of the family inet included.
    fn chains(&mut self) -> Result<Vec<Chain>, Error> {
        const INET: u8 = 1;
        let mut chains = Vec::new();
        for family in [transaction::IPV4, transaction::IPV6, INET] {
            let message = transaction::request(GET_CHAIN, netlink::DUMP, family);
            let replies = self.socket.request(&[message]).map_err(|source| Error::Firewall { source })?;
            chains.extend(replies.iter().filter_map(|reply| parse_chain(&reply.payload)));
        }
        Ok(chains)
    }

    /// How many rules the engine's own tables have; none where there are no tables.
    pub(super) fn present_rules(&mut self) -> Result<usize, Error> {
        let tables: Vec<Table> = self.tables.all().cloned().collect();
        let mut rules = 0;
        for Table { family, name } in tables {
            let message = transaction::request(GET_RULE, netlink::DUMP, family).string(RULE_TABLE, &name);
            rules += self.list_rules(&message)?.len();
        }
        Ok(rules)
    }

    /// Repeats the request if the rules changed while they were read.
    fn list_rules(&mut self, message: &Message) -> Result<Vec<Reply>, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.socket.request(std::slice::from_ref(message)) {
                Err(error) if error.is(Errno::NOENT) => return Ok(Vec::new()),
                Err(error) if error.is(Errno::INTR) && attempts < 100 => {}
                result => return result.map_err(|source| Error::Firewall { source }),
            }
        }
    }

    /// The handles of the engine's own rules in the chain, which need not exist.
    fn rules(&mut self, family: Family, wanted: Rules) -> Result<Vec<Vec<u8>>, Error> {
        let message = transaction::request(GET_RULE, netlink::DUMP, family.number())
            .string(RULE_TABLE, TABLE)
            .string(RULE_CHAIN, CHAIN);
        let replies = self.list_rules(&message)?;
        let marked = |payload: &[u8]| {
            let found = |wanted: u16| attributes(payload).find(|(kind, _)| *kind == wanted).map(|(_, it)| it);
            let is_wanted = match wanted {
                Rules::All => found(RULE_USER_DATA).is_some_and(|data| self.is_own_comment(data)),
                Rules::Of(number) => found(RULE_USER_DATA) == Some(&self.comment(Some(number))),
            };
            found(RULE_HANDLE).filter(|_| is_wanted).map(<[u8]>::to_vec)
        };
        Ok(replies.iter().filter_map(|reply| marked(reply.payload.get(HEADER..)?)).collect())
    }

    /// The comment that marks the engine's rules for all networks, or for this one: type, length, text.
    fn comment(&self, network: Option<u32>) -> Vec<u8> {
        let name = &self.tables.ip.name;
        let text = match network {
            None => format!("{name}\0"),
            Some(number) => format!("{name} {number}\0"),
        };
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        [&[COMMENT, length], text.as_bytes()].concat()
    }

    /// Whether a comment is one of these.
    fn is_own_comment(&self, data: &[u8]) -> bool {
        let Some(text) = data.strip_prefix(&[COMMENT]).and_then(|data| data.get(1..)) else { return false };
        text.strip_prefix(self.tables.ip.name.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), Some(0 | b' ')))
    }
}

/// Whether there was a chain to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Gone,
}

/// Which of the engine's own rules in the host's chain.
#[derive(Debug, Clone, Copy)]
enum Rules {
    All,
    /// Those for the network of this number.
    Of(u32),
}

fn host_table(family: Family) -> Table {
    Table { family: family.number(), name: TABLE.to_owned() }
}

fn parse_chain(payload: &[u8]) -> Option<Chain> {
    let mut chain = Chain { table: String::new(), name: String::new(), hook: None, policy: None };
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            CHAIN_TABLE => chain.table = text(value),
            CHAIN_NAME => chain.name = text(value),
            CHAIN_POLICY => chain.policy = number(value),
            CHAIN_HOOK => {
                let hook = attributes(value).find(|(kind, _)| *kind == HOOK_NUMBER);
                chain.hook = hook.and_then(|(_, value)| number(value));
            }
            _ => {}
        }
    }
    Some(chain)
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}
