//! A shim that is started before its container exists. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use model::Namespace;
use shim_protocol::{Notice, PARKED, PARKED_WITH_NETWORK, Request};
use support::*;

fn network_of(pid: u32) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap()
}

/// The network namespaces that a process holds open.
fn held_networks(pid: u32) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("net:")).count()
}

/// Waits until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "it never came");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn command_of(pid: u32) -> String {
    String::from_utf8(std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()).unwrap()
}

#[test]
fn a_parked_shim_makes_the_container_that_it_gets() {
    for kind in [PARKED, PARKED_WITH_NETWORK] {
        let place = Place::new();
        let mut daemon = Daemon::park(&place, kind);
        let shim = daemon.shim.unwrap();
        // It has executed when it was started; the kernel shows what a moment later.
        until(|| command_of(shim).starts_with(&format!("berth-shim\0{kind}\0 ")));
        daemon.give(&place, &place.spec("echo fine; sleep 600"));
        let (created, namespace) = daemon.wait_for(|notice| matches!(notice, Notice::Created { .. }));
        assert!(namespace.is_some());
        daemon.ask(Request::Start { interface: None }, None).unwrap();
        daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
        let Notice::Created { init, .. } = created else { panic!("{created:?}") };
        assert_eq!(command_of(shim), format!("berth-shim\0{}\x000\0", place.run().path().display()));
        assert_ne!(network_of(init.pid), network_of(shim));
        assert_eq!(network_of(shim), network_of(std::process::id()), "{kind}: it is where it was");
        assert_eq!(held_networks(shim), 0, "{kind}: only the container holds its network");
        until(|| place.logged() == ["out:fine\n"]);
        daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
        assert_eq!(daemon.finish().code, 137);
    }
}

#[test]
fn what_was_made_ahead_in_vain_is_given_up() {
    let place = Place::new();
    let mut daemon = Daemon::park(&place, PARKED_WITH_NETWORK);
    let shim = daemon.shim.unwrap();
    let mut spec = place.spec("sleep 600");
    spec.namespaces.network = Namespace::Host;
    daemon.give(&place, &spec);
    let created = daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    daemon.ask(Request::Start { interface: None }, None).unwrap();
    daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
    let Notice::Created { init, .. } = created else { panic!("{created:?}") };
    assert_eq!(network_of(init.pid), network_of(shim));
    assert_eq!(held_networks(shim), 0);
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.finish();
}

#[test]
fn a_parked_shim_ends_with_its_daemon() {
    let place = Place::new();
    for kind in [PARKED, PARKED_WITH_NETWORK] {
        Daemon::park(&place, kind).let_go();
    }
    assert!(std::fs::read_dir(place.run().path()).unwrap().next().is_none(), "it has written nothing");
}
