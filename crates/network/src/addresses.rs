//! The pool from which containers get addresses: never one twice, a released one as late as
//! possible.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use crate::error::Error;
use crate::family::Address;
use crate::options::AddressOrder;
use crate::subnet::Subnet;

/// How many addresses of a network are in use, and how many are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressUsage {
    /// Those of containers and of the host, reserved ones, the network's own and the broadcast one.
    pub in_use: u64,
    /// Those that containers may still get.
    pub available: u64,
}

/// The addresses of one network that containers may have.
#[derive(Debug)]
pub(crate) struct AddressPool<A = Ipv4Addr> {
    whole: Subnet<A>,
    range: Subnet<A>,
    first: u128,
    last: u128,
    taken: HashSet<u128>,
    /// The first address that is tried.
    next: u128,
    order: AddressOrder,
}

impl<A: Address> AddressPool<A> {
    /// Makes a pool of the hosts' addresses of `whole` that lie in `part` (`--fixed-cidr`),
    /// without `reserved`: those of the host and those that are in use elsewhere.
    pub(crate) fn new(
        whole: Subnet<A>,
        part: Option<Subnet<A>>,
        reserved: &[A],
        order: AddressOrder,
    ) -> Self {
        let range = part.unwrap_or(whole);
        let first = whole.hosts().start().number().max(range.base().number());
        let last = whole.hosts().end().number().min(range.last().number());
        let taken = reserved.iter().map(|address| address.number()).collect();
        Self { whole, range, first, last, taken, next: first, order }
    }

    /// The network that addresses are given from.
    pub(crate) fn range(&self) -> Subnet<A> {
        self.range
    }

    /// Takes the next free address in turn, so that a released one comes last.
    pub(crate) fn take(&mut self) -> Option<A> {
        if self.first > self.last {
            return None;
        }
        let upper = self.next..=self.last;
        let lower = self.first..self.next;
        let free = upper.chain(lower).find(|address| !self.taken.contains(address))?;
        self.occupy(free);
        Some(A::from_number(free))
    }

    /// Takes this very address, in the range or not.
    pub(crate) fn take_exactly(&mut self, address: A) -> Result<(), Error> {
        if !self.whole.contains(address) {
            return Err(Error::AddressOutside { address: address.into(), whole: self.whole.to_string() });
        }
        if !self.whole.hosts().contains(&address) || !self.taken.insert(address.number()) {
            return Err(Error::AddressInUse(address.into()));
        }
        Ok(())
    }

    /// Takes this very address, which a saved endpoint has. `false` when it is taken.
    pub(crate) fn adopt(&mut self, address: A) -> bool {
        let number = address.number();
        let free = self.taken.insert(number);
        let comes_later = (self.first..=self.last).contains(&number) && number >= self.next;
        if comes_later && self.order == AddressOrder::Turn {
            self.occupy(number);
        }
        free
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, address: A) {
        let number = address.number();
        self.taken.remove(&number);
        if self.order == AddressOrder::Lowest && (self.first..=self.last).contains(&number) {
            self.next = self.next.min(number);
        }
    }

    /// How much of it is in use.
    pub(crate) fn usage(&self) -> AddressUsage {
        let range = self.first..=self.last;
        let given = self.taken.iter().filter(|number| range.contains(number)).count() as u64;
        let whole = match self.first <= self.last {
            true => (self.last - self.first).saturating_add(1),
            false => 0,
        };
        let available = u64::try_from(whole - u128::from(given)).unwrap_or(u64::MAX);
        let is_own = |number: &&u128| self.whole.contains(A::from_number(**number));
        let own = self.taken.iter().filter(is_own).count() as u64;
        let ends = match self.whole.prefix_length() + 1 < A::BITS {
            true => 1 + u64::from(A::HAS_BROADCAST),
            false => 0,
        };
        AddressUsage { in_use: own + ends, available }
    }

    fn occupy(&mut self, number: u128) {
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
        AddressPool::new(whole, part, &[Ipv4Addr::new(10, 0, 0, 1)], AddressOrder::Turn)
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
    fn what_is_in_use_is_counted_within_the_network() {
        let mut pool = pool(Some("10.0.0.4/31"));
        pool.adopt(Ipv4Addr::new(192, 168, 0, 1));
        assert_eq!(pool.usage(), AddressUsage { in_use: 3, available: 2 });
        pool.take();
        assert_eq!(pool.usage(), AddressUsage { in_use: 4, available: 1 });
    }

    #[test]
    fn a_network_of_ipv6_has_more_addresses_than_are_counted() {
        let whole: Subnet<std::net::Ipv6Addr> = "fd00::/64".parse().expect("a network");
        let gateway = "fd00::1".parse().expect("an address");
        let mut pool = AddressPool::new(whole, None, &[gateway], AddressOrder::Lowest);
        assert_eq!(pool.usage(), AddressUsage { in_use: 2, available: u64::MAX - 1 });
        assert_eq!(pool.take().map(|address| address.to_string()), Some("fd00::2".to_owned()));
        let all = "::/0".parse().expect("a network");
        let pool = AddressPool::new(all, None, &[gateway], AddressOrder::Lowest);
        assert_eq!(pool.usage().available, u64::MAX);
    }

    #[test]
    fn a_released_address_comes_last() {
        let mut pool = pool(None);
        let first = pool.take().expect("an address");
        pool.release(first);
        assert_eq!(last_bytes(&mut pool, 9), [3, 4, 5, 6, 2]);
    }

    #[test]
    fn the_lowest_free_address_comes_first_where_that_is_the_order() {
        let mut pool = AddressPool { order: AddressOrder::Lowest, ..pool(None) };
        assert_eq!(last_bytes(&mut pool, 3), [2, 3, 4]);
        pool.release(Ipv4Addr::new(10, 0, 0, 3));
        assert!(pool.adopt(Ipv4Addr::new(10, 0, 0, 6)));
        assert_eq!(last_bytes(&mut pool, 9), [3, 5]);
    }

    #[test]
    fn an_address_that_is_asked_for_is_free_and_of_a_host() {
        let mut pool = pool(Some("10.0.0.4/31"));
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        assert!(pool.take_exactly(address(2)).is_ok(), "outside of the range");
        for taken in [0, 1, 2, 7] {
            assert!(matches!(pool.take_exactly(address(taken)), Err(Error::AddressInUse(_))), "{taken}");
        }
        assert!(matches!(pool.take_exactly(address(8)), Err(Error::AddressOutside { .. })));
        pool.take_exactly(address(4)).expect("free");
        assert_eq!(last_bytes(&mut pool, 9), [5]);
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
