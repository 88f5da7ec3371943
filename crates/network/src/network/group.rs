//! Groups by which interfaces of an engine are known, ip-link(8).

use crate::endpoint::fnv;

/// Own bridges of an engine and interfaces of containers have a group of this upper byte; the rest is of the bridge's
/// name.
pub(super) const LIVING: u32 = crate::firewall::CONTAINERS.group;
/// The upper byte of interfaces that are being removed.
pub(super) const GOING: u32 = 0xbf00_0000;

/// The upper byte of bridges that wait for their next network.
pub(super) const SPARE: u32 = 0xbd00_0000;

/// The group of parents that the engine has made.
pub(super) const MADE_PARENTS: u32 = 0xbe00_0001;

/// The group of this bridge's interfaces: FNV-1a of its name.
pub(super) fn group_of(state: u32, bridge: &str) -> u32 {
    state | (fnv(bridge.as_bytes()) & 0x00ff_ffff)
}
