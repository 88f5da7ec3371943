//! Expressions of nf_tables rules: each loads, compares, looks up or decides.

use std::net::IpAddr;

use sys::netlink::Message;

use super::family::Family;
use crate::family::octets;

const LIST_ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const REGISTER_VERDICT: u32 = 0;
/// The first 16 bytes of registers: where keys begin and maps put their data.
const FIRST: u32 = 1;
/// `NFT_REG32_01`, the second four bytes of the first register; the following are numbered on.
const SECOND_WORD: u32 = 9;
/// `NFT_PAYLOAD_LL_HEADER`, and where an Ethernet frame's source is.
const LINK_HEADER: u32 = 0;
const LINK_SOURCE_OFFSET: u32 = 6;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`, and where addresses are, RFC 791.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const SOURCE_OFFSET: u32 = 12;
const DESTINATION_OFFSET: u32 = 16;
/// The same of IPv6, RFC 8200, with the length of what follows the header and what that is.
const IPV6_SOURCE_OFFSET: u32 = 8;
const IPV6_DESTINATION_OFFSET: u32 = 24;
const IPV6_PAYLOAD_LENGTH_OFFSET: u32 = 4;
/// The type of a message of ICMPv6, the target of a neighbour's solicitation or advertisement, and the
/// hardware address in its first option (RFC 4861, sections 4.3, 4.4 and 4.6.1).
const MESSAGE_TYPE_OFFSET: u32 = 0;
const NEIGHBOUR_TARGET_OFFSET: u32 = 8;
const NEIGHBOUR_OPTION_OFFSET: u32 = 24;
const NEIGHBOUR_HARDWARE_ADDRESS_OFFSET: u32 = 26;
/// Where a packet of ARP for Ethernet and IPv4 names its sender, RFC 826.
const ARP_SENDER_OFFSET: u32 = 8;
const ARP_SENDER_ADDRESS_OFFSET: u32 = 14;
const SOURCE_NAT: u32 = 0;
const DESTINATION_NAT: u32 = 1;

/// `ETH_P_IP`, `ETH_P_ARP`, `ETH_P_IPV6` of linux/if_ether.h.
pub(super) const IP: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;

/// Fields of a packet or of the kernel's knowledge about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    InputInterface,
    OutputInterface,
    /// The groups of the interfaces by which it came in and leaves.
    InputGroup,
    OutputGroup,
    /// The Ethernet type, also of a frame with a VLAN's tag.
    EtherType,
    /// The Ethernet frame's source.
    LinkSource,
    /// The sender hardware address of an ARP packet.
    ArpSender,
    /// The sender IPv4 address of an ARP packet.
    ArpSenderAddress,
    TransportProtocol,
    Source,
    Destination,
    Ipv6Source,
    Ipv6Destination,
    /// How long what follows the header of IPv6 is, and the number of the header that follows.
    Ipv6PayloadAndNextHeader,
    /// The type of a message of ICMPv6.
    MessageType,
    /// The address that a message of neighbour discovery is about.
    NeighbourTarget,
    /// Type and length of its first option.
    NeighbourOption,
    /// The hardware address in its first option.
    NeighbourHardwareAddress,
    SourcePort,
    DestinationPort,
}

impl Family {
    /// Where a packet comes from.
    pub(super) const fn source(self) -> Field {
        match self {
            Self::Ipv4 => Field::Source,
            Self::Ipv6 => Field::Ipv6Source,
        }
    }

    /// Where a packet goes.
    pub(super) const fn destination(self) -> Field {
        match self {
            Self::Ipv4 => Field::Destination,
            Self::Ipv6 => Field::Ipv6Destination,
        }
    }
}

/// Whether a rule is about where a packet comes from or where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

/// Groups of interfaces, ip-link(8): those that have these bits of the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Groups {
    pub(crate) group: u32,
    pub(crate) mask: u32,
}

/// The verdict of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Accept,
    Drop,
    Return,
    Jump(&'a str),
    /// Jumps to another chain without returning.
    Goto(&'a str),
}

/// `NF_CT_STATE_BIT` of established and related connections.
pub(super) const ESTABLISHED_OR_RELATED: u32 = 0b110;
/// `IPS_DST_NAT`: the connection's destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// Words that build a rule's list of expressions.
pub(super) trait Expressions: Sized {
    /// Appends an expression.
    fn expression(self, name: &str, build: impl FnOnce(Message) -> Message) -> Self;

    /// Loads a field into the word of this number, 0 being the first.
    fn load(self, field: Field, word: u32) -> Self {
        let register = if word == 0 { FIRST } else { SECOND_WORD + word - 1 };
        match field {
            Field::InputInterface => self.meta(6, register),
            Field::OutputInterface => self.meta(7, register),
            Field::InputGroup => self.meta(21, register),
            Field::OutputGroup => self.meta(22, register),
            Field::EtherType => self.meta(1, register),
            Field::LinkSource => self.payload(LINK_HEADER, LINK_SOURCE_OFFSET, 6, register),
            Field::ArpSender => self.payload(NETWORK_HEADER, ARP_SENDER_OFFSET, 6, register),
            Field::ArpSenderAddress => self.payload(NETWORK_HEADER, ARP_SENDER_ADDRESS_OFFSET, 4, register),
            Field::TransportProtocol => self.meta(16, register),
            Field::Source => self.payload(NETWORK_HEADER, SOURCE_OFFSET, 4, register),
            Field::Destination => self.payload(NETWORK_HEADER, DESTINATION_OFFSET, 4, register),
            Field::Ipv6Source => self.payload(NETWORK_HEADER, IPV6_SOURCE_OFFSET, 16, register),
            Field::Ipv6Destination => self.payload(NETWORK_HEADER, IPV6_DESTINATION_OFFSET, 16, register),
            Field::Ipv6PayloadAndNextHeader => {
                self.payload(NETWORK_HEADER, IPV6_PAYLOAD_LENGTH_OFFSET, 3, register)
            }
            Field::MessageType => self.payload(TRANSPORT_HEADER, MESSAGE_TYPE_OFFSET, 1, register),
            Field::NeighbourTarget => self.payload(TRANSPORT_HEADER, NEIGHBOUR_TARGET_OFFSET, 16, register),
            Field::NeighbourOption => self.payload(TRANSPORT_HEADER, NEIGHBOUR_OPTION_OFFSET, 2, register),
            Field::NeighbourHardwareAddress => {
                self.payload(TRANSPORT_HEADER, NEIGHBOUR_HARDWARE_ADDRESS_OFFSET, 6, register)
            }
            Field::SourcePort => self.payload(TRANSPORT_HEADER, 0, 2, register),
            Field::DestinationPort => self.payload(TRANSPORT_HEADER, 2, 2, register),
        }
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.expression("meta", |data| data.network_u32(1, register).network_u32(2, key))
    }

    fn payload(self, base: u32, offset: u32, length: u32, register: u32) -> Self {
        self.expression("payload", |data| {
            data.network_u32(1, register).network_u32(2, base).network_u32(3, offset).network_u32(4, length)
        })
    }

    /// Continues if the first register equals `value` in its first bytes.
    fn equals(self, value: &[u8]) -> Self {
        self.compare(0, value)
    }

    fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |data| {
            data.network_u32(1, FIRST)
                .network_u32(2, operator)
                .nested(3, |nested| nested.attribute(DATA_VALUE, value))
        })
    }

    /// Keeps only the bits of `mask` of the first register.
    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        self.expression("bitwise", |data| {
            data.network_u32(1, FIRST)
                .network_u32(2, FIRST)
                .network_u32(3, length)
                .nested(4, |nested| nested.attribute(DATA_VALUE, mask))
                .nested(5, |nested| nested.attribute(DATA_VALUE, &vec![0; mask.len()]))
        })
    }

    /// Continues if the key in the registers is in the set, or with `inverted` if it is not.
    fn in_set(self, set: &str, inverted: bool) -> Self {
        self.expression("lookup", |data| {
            let data = data.string(1, set).network_u32(2, FIRST);
            if inverted { data.network_u32(5, 1) } else { data }
        })
    }

    /// Continues if the map has the key, with its data in the first registers.
    fn map(self, map: &str) -> Self {
        self.expression("lookup", |data| data.string(1, map).network_u32(2, FIRST).network_u32(3, FIRST))
    }

    /// Continues if the packet came in by one of the set's interfaces, or by none of them.
    fn input(self, set: &str, inverted: bool) -> Self {
        self.load(Field::InputInterface, 0).in_set(set, inverted)
    }

    /// Continues if the packet leaves by one of the set's interfaces, or by none of them.
    fn output(self, set: &str, inverted: bool) -> Self {
        self.load(Field::OutputInterface, 0).in_set(set, inverted)
    }

    /// Continues if the packet carries this Ethernet type.
    fn carries(self, ether_type: u16) -> Self {
        self.load(Field::EtherType, 0).equals(&ether_type.to_be_bytes())
    }

    /// Continues with a message of this type of a protocol.
    fn message(self, protocol: u8, kind: u8) -> Self {
        self.load(Field::TransportProtocol, 0).equals(&[protocol]).load(Field::MessageType, 0).equals(&[kind])
    }

    /// Continues for an IPv6 packet with this payload length and this next header.
    fn payload_is(self, length_and_next_header: [u8; 3]) -> Self {
        self.load(Field::Ipv6PayloadAndNextHeader, 0).equals(&length_and_next_header)
    }

    /// Continues with a packet of ARP for Ethernet and IPv4, whose fields are at the offsets of [`Field`]:
    /// types of hardware and protocol, lengths of their addresses.
    fn plain_arp(self) -> Self {
        const HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];
        self.carries(ARP).payload(NETWORK_HEADER, 0, 6, FIRST).equals(&HEAD)
    }

    /// Continues if the field, source or destination, lies in the network of this prefix. Whole bytes are
    /// compared as they are, which costs every packet.
    fn within(self, field: Field, (base, prefix_length): (IpAddr, u8)) -> Self {
        let offset = match field {
            Field::Source => SOURCE_OFFSET,
            Field::Ipv6Source => IPV6_SOURCE_OFFSET,
            Field::Ipv6Destination => IPV6_DESTINATION_OFFSET,
            _ => DESTINATION_OFFSET,
        };
        let mut base = octets(base);
        let (whole, rest) = (usize::from(prefix_length / 8), prefix_length % 8);
        let compared = if rest == 0 { whole } else { whole + 1 };
        base.truncate(compared);
        if compared == 0 {
            return self;
        }
        let length = u32::from(prefix_length.div_ceil(8));
        let loaded = self.payload(NETWORK_HEADER, offset, length, FIRST);
        if rest == 0 {
            return loaded.equals(&base);
        }
        let mut mask = vec![0xff; compared];
        mask[whole] = 0xff << (8 - rest);
        base[whole] &= mask[whole];
        loaded.mask(&mask).equals(&base)
    }

    /// Continues if the connection has any of these states.
    fn state(self, bits: u32) -> Self {
        self.tracked(0, bits)
    }

    /// Continues if the connection was translated to a published port.
    fn translated(self) -> Self {
        self.tracked(2, DESTINATION_TRANSLATED)
    }

    fn tracked(self, key: u32, bits: u32) -> Self {
        self.expression("ct", |data| data.network_u32(1, FIRST).network_u32(2, key))
            .mask(&bits.to_ne_bytes())
            .compare(1, &[0; 4])
    }

    /// Continues if the destination is an address of this host.
    fn to_this_host(self) -> Self {
        const ADDRESS_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        self.expression("fib", |data| {
            data.network_u32(1, FIRST).network_u32(2, ADDRESS_TYPE).network_u32(3, OF_DESTINATION)
        })
        .equals(&LOCAL.to_ne_bytes())
    }

    /// Sends the connection to the address and port in the registers.
    fn translate_destination(self, family: Family) -> Self {
        self.expression("nat", |data| {
            data.network_u32(1, DESTINATION_NAT)
                .network_u32(2, family.number().into())
                .network_u32(3, FIRST)
                .network_u32(5, SECOND_WORD + family.address_words() - 1)
        })
    }

    /// Lets the connection come from the address in the first register.
    fn translate_source(self, family: Family) -> Self {
        self.expression("nat", |data| {
            data.network_u32(1, SOURCE_NAT).network_u32(2, family.number().into()).network_u32(3, FIRST)
        })
    }

    /// Gives the connection the address of the interface by which it leaves.
    fn masquerade(self) -> Self {
        self.expression("masq", |data| data)
    }

    /// Continues if the packet came in, or leaves, by an interface of one of the groups: iptables' match `devgroup`
    /// (`xt_devgroup_info` of linux/netfilter/xt_devgroup.h), which every iptables can list.
    fn by_group(self, direction: Direction, Groups { group, mask }: Groups) -> Self {
        const INPUT: u32 = 1;
        const OUTPUT: u32 = 4;
        let words = match direction {
            Direction::Input => [INPUT, group, mask, 0, 0],
            Direction::Output => [OUTPUT, 0, 0, group, mask],
        };
        // The kernel aligns it to eight bytes.
        let mut information: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        information.resize(24, 0);
        self.expression("match", |data| {
            data.string(1, "devgroup").network_u32(2, 0).attribute(3, &information)
        })
    }

    fn counter(self) -> Self {
        self.expression("counter", |data| data)
    }

    fn verdict(self, verdict: Verdict<'_>) -> Self {
        let (code, chain) = match verdict {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
            Verdict::Goto(chain) => (-4, Some(chain)),
            Verdict::Return => (-5, None),
        };
        self.expression("immediate", |data| {
            data.network_u32(1, REGISTER_VERDICT).nested(2, |nested| {
                nested.nested(DATA_VERDICT, |verdict| {
                    let verdict = verdict.network_u32(VERDICT_CODE, i32::cast_unsigned(code));
                    match chain {
                        Some(chain) => verdict.string(VERDICT_CHAIN, chain),
                        None => verdict,
                    }
                })
            })
        })
    }
}

impl Expressions for Message {
    fn expression(self, name: &str, build: impl FnOnce(Message) -> Message) -> Self {
        self.nested(LIST_ELEMENT, |element| element.string(NAME, name).nested(DATA, build))
    }
}
