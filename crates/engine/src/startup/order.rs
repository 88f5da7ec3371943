//! Starts the containers whose policies require it after a start of the engine, each behind those that it
//! needs: the owner of the network that it joins, and the targets of its links.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::ContainerId;
use tokio::sync::watch;

use crate::container::Container;
use crate::realm::Realm;

/// Starts containers side by side. One that needs others waits until those have been tried.
pub(crate) fn start_all(realm: &Arc<Realm>, containers: Vec<Arc<Container>>) {
    let needs: HashMap<ContainerId, Vec<ContainerId>> =
        containers.iter().map(|container| (container.id().clone(), needed(realm, container))).collect();
    let mut tried: HashMap<ContainerId, watch::Receiver<bool>> = HashMap::new();
    let mut waiting: HashMap<ContainerId, Arc<Container>> =
        containers.into_iter().map(|container| (container.id().clone(), container)).collect();
    for id in order(&needs) {
        let Some(container) = waiting.remove(&id) else { continue };
        let first: Vec<_> = needs[&id].iter().filter_map(|needed| tried.get(needed).cloned()).collect();
        let (done, watched) = watch::channel(false);
        tried.insert(id, watched);
        let realm = Arc::clone(realm);
        let record = container.record();
        tokio::spawn(async move {
            for mut needed in first {
                // It has also been tried when its sender is gone.
                let _ = needed.wait_for(|done| *done).await;
            }
            realm.containers.restarter.start_by_policy(&container, &record).await;
            done.send_replace(true);
        });
    }
}

/// The containers that must run before this one.
fn needed(realm: &Realm, container: &Container) -> Vec<ContainerId> {
    let record = container.record();
    let host = &record.settings.host;
    let joined = [host.network_mode.joined(), host.ipc_mode.joined(), host.pid_mode.joined()];
    let joined = joined
        .into_iter()
        .flatten()
        .filter_map(|other| Some(realm.directory.find(other.as_str()).ok()?.id().clone()));
    joined.chain(record.links.values().cloned()).collect()
}

/// Puts each container behind those that it needs. In a circle one of them has to be first. Links make chains
/// of any length, so containers wait in a list.
fn order(needs: &HashMap<ContainerId, Vec<ContainerId>>) -> Vec<ContainerId> {
    enum Visit<'a> {
        Begin(&'a ContainerId),
        End(&'a ContainerId),
    }
    let mut seen = HashSet::new();
    let mut ordered = Vec::new();
    let mut waiting: Vec<Visit<'_>> = needs.keys().map(Visit::Begin).collect();
    while let Some(visit) = waiting.pop() {
        match visit {
            Visit::Begin(id) => {
                if seen.insert(id) {
                    waiting.push(Visit::End(id));
                    waiting.extend(needs.get(id).into_iter().flatten().map(Visit::Begin));
                }
            }
            Visit::End(id) => ordered.push(id.clone()),
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContainerId {
        ContainerId::from_random([number; 32])
    }

    #[test]
    fn what_is_needed_comes_first_and_circles_end() {
        let needs = HashMap::from([
            (id(1), vec![id(2), id(3)]),
            (id(2), vec![id(3)]),
            (id(3), vec![]),
            (id(4), vec![id(5)]),
            (id(5), vec![id(4)]),
        ]);
        let ordered = order(&needs);
        let place = |number| ordered.iter().position(|other| *other == id(number)).expect("in it");
        assert!(place(3) < place(2) && place(2) < place(1), "{ordered:?}");
        assert_eq!(ordered.len(), 5);
    }

    #[test]
    fn a_chain_of_links_ends_no_thread_with_a_small_stack() {
        let number = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            ContainerId::from_random(bytes)
        };
        let needs: HashMap<_, _> = (0..20_000).map(|at| (number(at), vec![number(at + 1)])).collect();
        let ordering = std::thread::Builder::new().stack_size(128 << 10).spawn(move || order(&needs));
        assert_eq!(ordering.expect("a thread").join().expect("its end").len(), 20_001);
    }
}
