//! Groups that mark the interfaces of an engine, ip-link(8).

use crate::endpoint::fnv;

/// Interfaces of an engine have a group of this upper byte; the rest is of their bridge's name.
pub(super) const LIVING: u32 = 0xbe00_0000;
/// The upper byte of interfaces that are being removed.
pub(super) const GOING: u32 = 0xbf00_0000;

/// The upper byte of bridges that wait for their next network.
pub(super) const SPARE: u32 = 0xbd00_0000;

/// The group of the engine's own bridges. It is no network's: the firewall lets packets pass that come from and go to
/// interfaces of one network's group, and several names may have one.
pub(super) const BRIDGES: u32 = 0xbc00_0000;

/// The group of parents that the engine has made: none of those whose packets the firewall lets pass.
pub(super) const MADE_PARENTS: u32 = 0xb800_0001;

/// The group of parents that earlier releases have made.
pub(super) const FORMER_MADE_PARENTS: u32 = 0xbe00_0001;

/// The group of this bridge's interfaces: FNV-1a of its name.
pub(super) fn group_of(state: u32, bridge: &str) -> u32 {
    state | (fnv(bridge.as_bytes()) & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::CONTAINERS;

    #[test]
    fn the_firewall_lets_pass_what_is_of_containers_alone() {
        let passes = |group: u32| group & CONTAINERS.mask == CONTAINERS.group;
        assert!(
            [group_of(LIVING, "br0"), group_of(GOING, "br0"), group_of(SPARE, "br0"), BRIDGES].map(passes)
                == [true; 4]
        );
        assert!(!passes(MADE_PARENTS) && !passes(0), "parents lead to other machines");
    }
}
