//! Scopes over a real bus, Debian's `dbus-daemon`, of which a stand-in for systemd's manager is the only other member.

mod stand_in;

use std::path::Path;
use std::time::Duration;

use berth_systemd::{Error, Scope, Slice, Systemd};
use model::Resources;

use stand_in::{Bus, End, StandIn, number, text};

const NAME: &str = "berth-test.scope";

/// More than the stand-in ever needs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What no answer ever comes within.
const SHORT: Duration = Duration::from_millis(50);

async fn start(systemd: &Systemd, resources: &Resources) -> Result<(), Error> {
    let slice: Slice = "kubepods-pod1.slice".parse().expect("a slice");
    let description = "a container of the tests";
    let scope = Scope { name: NAME, description, slice: &slice, process: 4321, resources };
    systemd.start_scope(&scope).await
}

/// An error with what caused it.
fn words(error: Error) -> String {
    model::with_causes(&error)
}

#[tokio::test]
async fn a_scope_is_started_limited_and_stopped() {
    let bus = Bus::start();
    let manager = StandIn::join(&bus, End::Done).await;
    let systemd = Systemd::at(bus.address(), TIMEOUT);
    let resources = Resources {
        memory: Some(64 << 20),
        cpu_shares: Some(262_144),
        pids_limit: Some(99),
        ..Resources::default()
    };
    start(&systemd, &resources).await.expect("started");
    let started = manager.take();
    assert_eq!(
        (started.method, started.unit.as_str(), started.mode.as_str()),
        ("StartTransientUnit", NAME, "fail")
    );
    assert_eq!(text(&started, "Slice"), "kubepods-pod1.slice");
    assert_eq!(text(&started, "Description"), "a container of the tests");
    assert_eq!(text(&started, "CollectMode"), "inactive-or-failed");
    let process = started.last("PIDs").and_then(|value| Vec::<u32>::try_from(value).ok());
    assert_eq!(process, Some(vec![4321]));
    let is = |name| started.last(name).and_then(|value| bool::try_from(value).ok());
    assert_eq!((is("Delegate"), is("DefaultDependencies")), (Some(true), Some(false)));
    assert_eq!((number(&started, "MemoryMax"), number(&started, "CPUWeight")), (64 << 20, 10_000));
    assert_eq!(number(&started, "TasksMax"), 99);

    let resources = Resources { memory: Some(96 << 20), ..Resources::default() };
    systemd.limit_scope(NAME, &resources).await.expect("limited");
    let limited = manager.take();
    assert_eq!((limited.method, limited.mode.as_str()), ("SetUnitProperties", "runtime"));
    assert_eq!((limited.properties.len(), number(&limited, "MemoryMax")), (1, 96 << 20));

    systemd.stop_scope(NAME).await.expect("stopped");
    let stopped = manager.take();
    assert_eq!((stopped.method, stopped.unit.as_str(), stopped.mode.as_str()), ("StopUnit", NAME, "replace"));
    assert_eq!(manager.take().method, "ResetFailedUnit");
    systemd.stop_scope(NAME).await.expect("one that is gone needs no stop");
}

#[tokio::test]
async fn a_scope_without_a_limit_of_tasks_has_none() {
    let bus = Bus::start();
    let manager = StandIn::join(&bus, End::Done).await;
    start(&Systemd::at(bus.address(), TIMEOUT), &Resources::default()).await.expect("started");
    assert_eq!(number(&manager.take(), "TasksMax"), u64::MAX);
}

#[tokio::test]
async fn a_job_that_fails_and_a_refusal_are_errors_with_their_words() {
    let bus = Bus::start();
    let _manager = StandIn::join(&bus, End::Failed).await;
    let systemd = Systemd::at(bus.address(), TIMEOUT);
    let failed = start(&systemd, &Resources::default()).await.expect_err("a job that fails");
    assert_eq!(words(failed), "cannot start the unit berth-test.scope: systemd's job ended with \"failed\"");
    let refused = systemd.limit_scope("other.scope", &Resources::default()).await;
    let refused = words(refused.expect_err("a unit that does not exist"));
    assert!(
        refused.starts_with("cannot limit the unit other.scope: ") && refused.contains("NoSuchUnit"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_systemd_never_ends_is_given_up() {
    let bus = Bus::start();
    let _manager = StandIn::join(&bus, End::Never).await;
    let systemd = Systemd::at(bus.address(), SHORT);
    let given_up = start(&systemd, &Resources::default()).await.expect_err("no end");
    assert_eq!(
        words(given_up),
        "cannot start the unit berth-test.scope: systemd has not answered within 50ms"
    );
}

#[tokio::test]
async fn without_a_bus_or_systemd_at_it_the_error_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let cgroups = directory.path();
    let bus = Bus::start();
    let systemd = Systemd::at(bus.address(), TIMEOUT);
    let legacy = systemd.check(cgroups).await.expect_err("no cgroups of version 2");
    assert!(matches!(&legacy, Error::NotUnified { path } if path == cgroups), "{legacy}");
    std::fs::write(cgroups.join("cgroup.controllers"), "").expect("a file");
    let nobody = words(systemd.check(cgroups).await.expect_err("nobody"));
    assert!(
        nobody.starts_with("cannot find the unit init.scope: ") && nobody.contains("ServiceUnknown"),
        "{nobody}"
    );
    let _manager = StandIn::join(&bus, End::Done).await;
    systemd.check(cgroups).await.expect("systemd answers");
    let nowhere = Systemd::at("unix:path=/nonexistent/bus", TIMEOUT);
    let nowhere = words(nowhere.check(Path::new(cgroups)).await.expect_err("no bus"));
    assert!(nowhere.starts_with("cannot connect to the bus of systemd: "), "{nowhere}");
}
