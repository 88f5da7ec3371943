//! A transaction of nf_tables: a batch of messages that takes effect whole or not at all.

use sys::netlink::{self, Message, RequestError, Socket};

/// `NFNL_SUBSYS_NFTABLES` and the batch's own messages, linux/netfilter/nfnetlink.h.
const NF_TABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFPROTO_IPV4`, `NFPROTO_IPV6` and `NFPROTO_BRIDGE`.
pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;
pub(super) const BRIDGE: u8 = 7;

// Messages of linux/netfilter/nf_tables.h.
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USER_DATA: u16 = 7;
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
const SET_ID: u16 = 10;
const SET_USER_DATA: u16 = 13;
/// Declares to nft that the key is in the machine's byte order: type, length, value.
const KEY_IN_HOST_ORDER: [u8; 6] = [0, 4, 1, 0, 0, 0];
const SET_HAS_INTERVALS: u32 = 4;
const SET_IS_MAP: u32 = 8;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS_LIST: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
/// `NFT_SET_ELEM_INTERVAL_END`: the first key behind an interval.
const INTERVAL_END: u32 = 1;
const DATA_VALUE: u16 = 1;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;

/// An attribute is at most 64 KiB long; an element takes at most some 60 bytes.
const ELEMENTS_A_MESSAGE: usize = 500;

/// A table, which its family and its name identify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// [`IPV4`], [`IPV6`] or [`BRIDGE`].
    pub(super) family: u8,
    pub(super) name: String,
}

/// Where a base chain is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    /// `NF_INET_PRE_ROUTING` and its like.
    pub(super) number: u32,
    pub(super) priority: i32,
}

/// A part of a key or of a map's data. Each begins at a multiple of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    InterfaceName,
    /// A group of interfaces, in the machine's byte order.
    Group,
    HardwareAddress,
    /// An address of the table's family; of IPv4 in a table of bridges.
    Address,
    Ipv6Address,
    Protocol,
    Service,
}

impl Part {
    /// nft's own number of the type, by which it shows elements, and the length.
    const fn kind(self, family: u8) -> (u32, u32) {
        match self {
            Self::InterfaceName => (41, INTERFACE_NAME_LENGTH),
            Self::Group => (35, 4),
            Self::HardwareAddress => (9, HARDWARE_ADDRESS_LENGTH),
            Self::Address if family == IPV6 => (8, 16),
            Self::Address => (7, 4),
            Self::Ipv6Address => (8, 16),
            Self::Protocol => (12, 4),
            Self::Service => (13, 4),
        }
    }
}

/// `IFNAMSIZ`.
pub(super) const INTERFACE_NAME_LENGTH: u32 = 16;
/// A hardware address and two bytes that keep what follows at a multiple of four.
pub(super) const HARDWARE_ADDRESS_LENGTH: u32 = 8;

/// A set, or with data a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) id: u32,
    pub(super) key: &'static [Part],
    /// Whether elements are intervals of keys.
    pub(super) has_intervals: bool,
    /// A map's data for a key; empty for a set.
    pub(super) data: &'static [Part],
}

impl Set {
    /// A set of single keys.
    pub(super) const fn of(name: &'static str, id: u32, key: &'static [Part]) -> Self {
        Self { name, id, key, has_intervals: false, data: &[] }
    }

    /// The same as a map.
    pub(super) const fn to(self, data: &'static [Part]) -> Self {
        Self { data, ..self }
    }

    /// The same with intervals of keys.
    pub(super) const fn of_intervals(self) -> Self {
        Self { has_intervals: true, ..self }
    }
}

/// Type and length of parts in a table of the family; nft joins types by six bits.
fn concatenated(parts: &[Part], family: u8) -> (u32, u32) {
    parts.iter().fold((0, 0), |(kind, length), part| {
        let (own, own_length) = part.kind(family);
        (kind << 6 | own, length + own_length)
    })
}

/// An element of a set or map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    /// The map's data for the key.
    pub(super) data: Option<Vec<u8>>,
    /// Whether the key is the first one behind an interval.
    pub(super) ends_interval: bool,
}

impl Element {
    /// An element of a set, its key in parts.
    pub(super) fn key(parts: &[&[u8]]) -> Self {
        Self { key: parts.concat(), ..Self::default() }
    }

    /// The same as one of a map.
    pub(super) fn with(self, data: &[u8]) -> Self {
        Self { data: Some(data.to_vec()), ..self }
    }
}

/// A transaction under construction. What is added changes one table, until another is chosen.
#[derive(Debug)]
pub(super) struct Transaction {
    table: Table,
    messages: Vec<Message>,
    rules: usize,
}

impl Transaction {
    pub(super) fn new(table: &Table) -> Self {
        let begin = Message::new(BATCH_BEGIN, 0).fixed(&header(0, NF_TABLES));
        Self { table: table.clone(), messages: vec![begin], rules: 0 }
    }

    /// How many rules it makes.
    pub(super) const fn rules(&self) -> usize {
        self.rules
    }

    /// Chooses the table that the following messages change.
    pub(super) fn about(mut self, table: &Table) -> Self {
        self.table = table.clone();
        self
    }

    /// Sends the transaction and waits for its outcome. Only the last change is acknowledged, when all is done; the
    /// kernel reports failures of the others by itself.
    pub(super) fn commit(mut self, socket: &mut Socket) -> Result<(), RequestError> {
        // What begins a transaction without changes is not answered.
        if self.messages.len() > 1
            && let Some(last) = self.messages.pop()
        {
            self.messages.push(last.acknowledged());
        }
        self.messages.push(Message::new(BATCH_END, 0).fixed(&header(0, NF_TABLES)));
        socket.request(&self.messages).map(drop)
    }

    pub(super) fn table(mut self) -> Self {
        let message = self.message(NEW_TABLE, netlink::CREATE).string(TABLE_NAME, &self.table.name);
        self.messages.push(message);
        self
    }

    pub(super) fn delete_table(mut self) -> Self {
        let message = self.message(DELETE_TABLE, 0).string(TABLE_NAME, &self.table.name);
        self.messages.push(message);
        self
    }

    /// Makes a chain; with a hook it is called from there and accepts what passes its rules.
    pub(super) fn chain(mut self, name: &str, hook: Option<Hook>) -> Self {
        let mut message = self
            .message(NEW_CHAIN, netlink::CREATE)
            .string(CHAIN_TABLE, &self.table.name)
            .string(CHAIN_NAME, name);
        if let Some(hook) = hook {
            message = message
                .nested(CHAIN_HOOK, |nested| {
                    nested
                        .network_u32(HOOK_NUMBER, hook.number)
                        .network_u32(HOOK_PRIORITY, hook.priority.cast_unsigned())
                })
                .network_u32(CHAIN_POLICY, ACCEPT)
                .string(CHAIN_TYPE, hook.kind);
        }
        self.messages.push(message);
        self
    }

    /// Appends a rule to a chain.
    pub(super) fn rule(mut self, chain: &str, rule: impl FnOnce(Message) -> Message) -> Self {
        let message = self.message(NEW_RULE, netlink::CREATE | netlink::APPEND);
        self.messages.push(self.rule_of(message, chain).nested(RULE_EXPRESSIONS, rule));
        self.rules += 1;
        self
    }

    /// Appends a rule with a comment by which it is found again.
    pub(super) fn commented_rule(
        mut self,
        chain: &str,
        comment: &[u8],
        rule: impl FnOnce(Message) -> Message,
    ) -> Self {
        let message = self.rule_of(self.message(NEW_RULE, netlink::CREATE | netlink::APPEND), chain);
        self.messages.push(message.nested(RULE_EXPRESSIONS, rule).attribute(RULE_USER_DATA, comment));
        self.rules += 1;
        self
    }

    pub(super) fn delete_rule(mut self, chain: &str, handle: &[u8]) -> Self {
        let message = self.rule_of(self.message(DELETE_RULE, 0), chain).attribute(RULE_HANDLE, handle);
        self.messages.push(message);
        self
    }

    fn rule_of(&self, message: Message, chain: &str) -> Message {
        message.string(RULE_TABLE, &self.table.name).string(RULE_CHAIN, chain)
    }

    pub(super) fn set(mut self, set: &Set) -> Self {
        let (key_type, key_length) = concatenated(set.key, self.table.family);
        let mut message = self
            .message(NEW_SET, netlink::CREATE)
            .string(SET_TABLE, &self.table.name)
            .string(SET_NAME, set.name)
            .network_u32(SET_FLAGS, flags(set))
            .network_u32(SET_KEY_TYPE, key_type)
            .network_u32(SET_KEY_LENGTH, key_length)
            .network_u32(SET_ID, set.id);
        if !set.data.is_empty() {
            let (kind, length) = concatenated(set.data, self.table.family);
            message = message.network_u32(SET_DATA_TYPE, kind).network_u32(SET_DATA_LENGTH, length);
        }
        // nft reads a name of an interface as a number of the machine's byte order.
        if set.key == [Part::InterfaceName] {
            message = message.attribute(SET_USER_DATA, &KEY_IN_HOST_ORDER);
        }
        self.messages.push(message);
        self
    }

    pub(super) fn add_elements(self, set: &str, elements: &[Element]) -> Self {
        self.elements(NEW_ELEMENT, netlink::CREATE, set, elements)
    }

    pub(super) fn remove_elements(self, set: &str, elements: &[Element]) -> Self {
        self.elements(DELETE_ELEMENT, 0, set, elements)
    }

    fn elements(mut self, kind: u16, flags: u16, set: &str, elements: &[Element]) -> Self {
        for part in elements.chunks(ELEMENTS_A_MESSAGE) {
            let message = self
                .message(kind, flags)
                .string(ELEMENTS_TABLE, &self.table.name)
                .string(ELEMENTS_SET, set)
                .nested(ELEMENTS_LIST, |list| part.iter().fold(list, append_element));
            self.messages.push(message);
        }
        self
    }

    /// Begins a message about the table.
    fn message(&self, kind: u16, flags: u16) -> Message {
        request(kind, flags, self.table.family)
    }
}

fn flags(set: &Set) -> u32 {
    let intervals = if set.has_intervals { SET_HAS_INTERVALS } else { 0 };
    let map = if set.data.is_empty() { 0 } else { SET_IS_MAP };
    intervals | map
}

fn append_element(list: Message, Element { key, data, ends_interval }: &Element) -> Message {
    list.nested(LIST_ELEMENT, |element| {
        let element = element.nested(ELEMENT_KEY, |nested| nested.attribute(DATA_VALUE, key));
        let element = match ends_interval {
            true => element.network_u32(ELEMENT_FLAGS, INTERVAL_END),
            false => element,
        };
        match data {
            Some(data) => element.nested(ELEMENT_DATA, |nested| nested.attribute(DATA_VALUE, data)),
            None => element,
        }
    })
}

/// Begins a message of nf_tables outside of any transaction.
pub(super) fn request(kind: u16, flags: u16, family: u8) -> Message {
    Message::new((NF_TABLES << 8) | kind, flags).fixed(&header(family, 0))
}

/// `nfgenmsg`.
pub(super) fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use sys::netlink::Protocol;

    use super::*;

    /// Needs root. The kernel acknowledges the last change alone, and reports whichever failed.
    #[test]
    fn a_failed_change_is_reported_and_undoes_the_others() {
        let run = || {
            sys::network_namespace::unshare().expect("root may unshare");
            let mut socket = Socket::open(Protocol::Netfilter).expect("a socket");
            let table = Table { family: IPV4, name: "test".to_owned() };
            let chain = |name| Transaction::new(&table).table().chain(name, None);
            let failing = chain("first").delete_rule("first", &7_u64.to_be_bytes()).chain("second", None);
            let error = failing.commit(&mut socket).expect_err("there is no such rule");
            assert!(error.is(Errno::NOENT), "{error}");
            // Begin, table and chain stand before it.
            assert_eq!(error.position, Some(3));
            let only_last = Transaction::new(&table).delete_table().commit(&mut socket);
            assert!(only_last.expect_err("the table was not made").is(Errno::NOENT));
            Transaction::new(&table).commit(&mut socket).expect("nothing to do");
            chain("first").commit(&mut socket).expect("made");
            Transaction::new(&table).delete_table().commit(&mut socket).expect("the table is there");
        };
        std::thread::spawn(run).join().expect("the thread ends well");
    }
}
