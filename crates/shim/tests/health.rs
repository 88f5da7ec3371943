//! Reports of health checks to daemons of this and of earlier releases. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use model::{HealthSpec, HealthStatus};
use shim_protocol::{Notice, PROTOCOL, Request};
use support::*;

fn spec(place: &Place, command: &[&str]) -> model::ContainerSpec {
    let health = HealthSpec {
        arguments: command.iter().map(|word| (*word).to_owned()).collect(),
        interval: Duration::from_millis(20),
        timeout: TIMEOUT,
        retries: 2,
        ..HealthSpec::default()
    };
    model::ContainerSpec { health: Some(health), ..place.spec("exec sleep 1000") }
}

/// Starts a container as a daemon of this protocol.
fn start(place: &Place, command: &[&str], protocol: u32) -> Daemon {
    let mut daemon = Daemon::spawn(place, &spec(place, command));
    daemon.ask(Request::Hello { protocol }, None).unwrap();
    daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    daemon.ask(Request::Start { interface: None }, None).unwrap();
    daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
    daemon
}

fn end(mut daemon: Daemon) {
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.finish();
}

const fn is_of_health(notice: &Notice) -> bool {
    matches!(notice, Notice::ProbeStarted { .. } | Notice::Probed(_) | Notice::Health(_))
}

#[test]
fn each_probe_is_told_and_a_later_daemon_hears_all_that_is_known() {
    let place = Place::new();
    let mut daemon = start(&place, &["sh", "-c", "echo no; exit 4"], PROTOCOL);
    let Notice::ProbeStarted { exec: begun } = daemon.wait(is_of_health) else { panic!("a probe begins") };
    let Notice::Probed(probed) = daemon.wait(is_of_health) else { panic!("it ends") };
    assert_eq!((&probed.exec, probed.exit_code, probed.result.exit_code), (&begun, 4, 4));
    assert_eq!((probed.status, probed.failing_streak), (HealthStatus::Starting, 1));
    assert_eq!(probed.result.output, "no\n");
    while !matches!(daemon.wait(is_of_health), Notice::Probed(probed) if probed.failing_streak > 8) {}
    let mut later = Daemon::connect(&place);
    later.shim = daemon.shim.take();
    later.ask(Request::Hello { protocol: PROTOCOL }, None).unwrap();
    let Notice::Health(health) = later.wait(is_of_health) else { panic!("the snapshot comes first") };
    assert_eq!((health.status, health.log.len()), (HealthStatus::Unhealthy, 5));
    assert!(health.failing_streak > 8);
    end(later);
    let left = std::fs::read(place.run().health()).unwrap();
    let left: model::Health = serde_json::from_slice(&left).unwrap();
    assert!(left.failing_streak >= health.failing_streak && left.log.len() == 5);
}

#[test]
fn a_daemon_of_an_earlier_release_hears_nothing_of_it() {
    let place = Place::new();
    let mut daemon = start(&place, &["sh", "-c", "echo >> /tmp/probes"], 3);
    let probes = place.directory.path().join("root/tmp/probes");
    let until = std::time::Instant::now() + TIMEOUT;
    while std::fs::metadata(&probes).map_or(0, |file| file.len()) < 3 {
        assert!(std::time::Instant::now() < until, "no probe is made");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Notices that were sent before the answer would be there.
    daemon.ask(Request::Processes, None).unwrap();
    daemon.send(br#"{"number":900,"request":"execs"}"#);
    let next =
        daemon.wait(|notice| is_of_health(notice) || matches!(notice, Notice::Reply { number: 900, .. }));
    assert!(!is_of_health(&next), "{next:?}");
    end(daemon);
}
