//! The names that the host's ends of interfaces have: no two have one, however many networks a container is in.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use model::ContainerId;

use super::lock::locked;
use crate::endpoint::host_interface_name;

/// How many names the interfaces of one container have on the host.
const LETTERS: u32 = 26;

/// The names of all endpoints of the host.
#[derive(Debug)]
pub(super) struct InterfaceNames {
    given: Mutex<HashSet<String>>,
    /// Counts endpoints, so that each interface has a new name.
    generation: AtomicU32,
}

impl InterfaceNames {
    /// `known` is how many endpoints there were before, so that their names are not met again soon.
    pub(super) fn new(known: u32) -> Self {
        Self { given: Mutex::default(), generation: AtomicU32::new(known.wrapping_mul(7)) }
    }

    /// Gives a name for a container's next interface, which no endpoint has, nor an interface that is going; `None` for a
    /// container that has them all.
    pub(super) fn give(&self, container: &ContainerId, going: &[String]) -> Option<String> {
        let mut given = locked(&self.given);
        let mut names = (0..LETTERS).map(|_| {
            let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            host_interface_name(container, generation)
        });
        let name = names.find(|name| !given.contains(name) && !going.contains(name))?;
        given.insert(name.clone());
        Some(name)
    }

    /// Notes the name of an endpoint that is there already.
    pub(super) fn adopt(&self, name: &str) {
        locked(&self.given).insert(name.to_owned());
    }

    /// Frees the name of an endpoint that is gone.
    pub(super) fn free(&self, name: &str) {
        locked(&self.given).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_given_while_another_interface_has_it_or_is_about_to_lose_it() {
        let container = ContainerId::from_random([7; 32]);
        let names = InterfaceNames::new(0);
        let give = |going: &[String]| names.give(&container, going);
        let first = give(&[]).expect("a name");
        names.free(&first);
        let mut given = HashSet::new();
        for _ in 1..LETTERS {
            // Each daemon counts from the beginning.
            names.generation.store(0, Ordering::Relaxed);
            let name = give(std::slice::from_ref(&first)).expect("a name");
            assert!(given.insert(name), "twice the same");
        }
        assert!(!given.contains(&first), "it is about to go");
        names.generation.store(0, Ordering::Relaxed);
        assert_eq!(give(&[]), Some(first));
        names.generation.store(0, Ordering::Relaxed);
        assert_eq!(give(&[]), None, "there are no more");
    }
}
