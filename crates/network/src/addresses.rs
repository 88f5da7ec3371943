//! The pool from which containers get addresses: never one twice, a released one as late as
//! possible.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use crate::subnet::Subnet;

/// The addresses of one network that containers may have.
#[derive(Debug)]
pub(crate) struct AddressPool {
    range: Subnet,
    first: u32,
    last: u32,
    taken: HashSet<u32>,
    /// The address after the one given last.
    next: u32,
}

impl AddressPool {
    /// Makes a pool of the hosts' addresses of `whole` that lie in `part` (`--fixed-cidr`),
    /// without `reserved`: those of the host.
    pub(crate) fn new(whole: Subnet, part: Option<Subnet>, reserved: &[Ipv4Addr]) -> Self {
        let range = part.unwrap_or(whole);
        let first = u32::from(*whole.hosts().start()).max(u32::from(range.base()));
        let last = u32::from(*whole.hosts().end()).min(u32::from(range.last()));
        let taken = reserved.iter().map(|address| u32::from(*address)).collect();
        Self { range, first, last, taken, next: first }
    }

    /// The network that addresses are given from.
    pub(crate) const fn range(&self) -> Subnet {
        self.range
    }

    /// Takes the next free address in turn, so that a released one comes last.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        if self.first > self.last {
            return None;
        }
        let upper = self.next..=self.last;
        let lower = self.first..self.next;
        let free = upper.chain(lower).find(|address| !self.taken.contains(address))?;
        self.occupy(free);
        Some(free.into())
    }

    /// Takes this very address, which a saved endpoint has. `false` when it is taken.
    pub(crate) fn adopt(&mut self, address: Ipv4Addr) -> bool {
        let number = u32::from(address);
        let free = self.taken.insert(number);
        if (self.first..=self.last).contains(&number) && number >= self.next {
            self.occupy(number);
        }
        free
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.taken.remove(&u32::from(address));
    }

    fn occupy(&mut self, number: u32) {
        self.taken.insert(number);
        self.next = if number >= self.last { self.first } else { number + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(part: Option<&str>) -> AddressPool {
        let whole = "10.0.0.0/29".parse().expect("a network");
        let part = part.map(|text| text.parse().expect("a network"));
        AddressPool::new(whole, part, &[Ipv4Addr::new(10, 0, 0, 1)])
    }

    fn last_bytes(pool: &mut AddressPool, count: usize) -> Vec<u8> {
        (0..count).filter_map(|_| pool.take()).map(|address| address.octets()[3]).collect()
    }

    #[test]
    fn each_address_is_given_once() {
        assert_eq!(last_bytes(&mut pool(None), 9), [2, 3, 4, 5, 6]);
        assert_eq!(last_bytes(&mut pool(Some("10.0.0.4/31")), 9), [4, 5]);
        assert_eq!(last_bytes(&mut pool(Some("10.0.0.0/30")), 9), [2, 3]);
        assert_eq!(last_bytes(&mut pool(Some("10.0.0.1/32")), 9), [0; 0]);
    }

    #[test]
    fn a_released_address_comes_last() {
        let mut pool = pool(None);
        let first = pool.take().expect("an address");
        pool.release(first);
        assert_eq!(last_bytes(&mut pool, 9), [3, 4, 5, 6, 2]);
    }

    #[test]
    fn saved_addresses_are_not_given_again() {
        let mut pool = pool(None);
        assert!(pool.adopt(Ipv4Addr::new(10, 0, 0, 3)));
        assert!(!pool.adopt(Ipv4Addr::new(10, 0, 0, 3)));
        assert!(!pool.adopt(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(last_bytes(&mut pool, 9), [4, 5, 6, 2]);
    }
}
