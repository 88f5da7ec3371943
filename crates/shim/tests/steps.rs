//! Processes with a root and namespaces of their own in a running container's network and cgroups. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::os::fd::OwnedFd;

use model::{ContainerSpec, ExecId, Exit, Namespace, ProcessReference};
use shim_protocol::{Answer, Failure, FailureKind, Notice, Request, Step};
use support::*;

fn id(number: u8) -> ExecId {
    ExecId::from_random([number; 32])
}

/// A container that sleeps, and its init.
fn sleeping() -> (Place, Daemon, ProcessReference) {
    let place = Place::new();
    let mut daemon = Daemon::spawn(&place, &place.spec("exec sleep 1000"));
    let created = daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    let Notice::Created { init, .. } = created else { panic!("{created:?}") };
    daemon.ask(Request::Start { interface: None }, None).unwrap();
    daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
    (place, daemon, init)
}

fn spec(place: &Place, init: ProcessReference, script: &str) -> ContainerSpec {
    let mut spec = place.spec(script);
    spec.namespaces.network = Namespace::Process(init);
    "step".clone_into(&mut spec.hostname);
    spec
}

/// Starts a step with a client; returns what the client reads to its end.
fn output(daemon: &mut Daemon, number: u8, spec: ContainerSpec) -> String {
    let (mut client, theirs) = client();
    let answer = start(daemon, number, spec, Some(&theirs)).unwrap();
    assert!(matches!(answer, Answer::ExecStarted { .. }));
    drop(theirs);
    String::from_utf8(streams(&rest(&mut client)).0).unwrap()
}

fn start(
    daemon: &mut Daemon,
    number: u8,
    spec: ContainerSpec,
    client: Option<&OwnedFd>,
) -> Result<Answer, Failure> {
    let attach = client.map(|_| attachment(u64::from(number)));
    daemon.ask(Request::Step(Box::new(Step { id: id(number), spec, attach })), client)
}

fn ended(daemon: &mut Daemon, number: u8) -> Exit {
    let wanted = id(number);
    match daemon.wait(|notice| matches!(notice, Notice::ExecExited { exec, .. } if *exec == wanted)) {
        Notice::ExecExited { exit, .. } => exit,
        other => panic!("{other:?}"),
    }
}

fn kill(mut daemon: Daemon) -> Exit {
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.finish()
}

#[test]
fn a_step_has_all_but_the_network_of_its_own() {
    let (place, mut daemon, init) = sleeping();
    let own = |kind: &str| fs::read_link(format!("/proc/{}/ns/{kind}", init.pid)).unwrap();
    let script = "echo $$; cat /proc/sys/kernel/hostname; sleep 1000 & echo left > /dev/shm/left; exit 7";
    assert_eq!(output(&mut daemon, 1, spec(&place, init, script)), "1\nstep\n");
    assert_eq!(ended(&mut daemon, 1).code, 7);
    // While it runs its namespaces are other ones, but for that of the network.
    let waiting = start(&mut daemon, 2, spec(&place, init, "exec sleep 1000"), None).unwrap();
    let Answer::ExecStarted { process } = waiting else { panic!("{waiting:?}") };
    let of = |kind: &str| fs::read_link(format!("/proc/{}/ns/{kind}", process.pid)).unwrap();
    assert_eq!(of("net"), own("net"));
    for kind in ["mnt", "pid", "ipc", "uts"] {
        assert_ne!(of(kind), own(kind), "{kind}");
    }
    let groups = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(groups(process.pid), groups(init.pid));
    // Nothing of the first is there.
    let script = "for p in /proc/[0-9]*; do echo ${p#/proc/}; done; for f in /dev/shm/*; do echo $f; done";
    assert_eq!(output(&mut daemon, 3, spec(&place, init, script)), "1\n/dev/shm/*\n");
    assert_eq!(ended(&mut daemon, 3).code, 0);
    // The end of the container is that of its steps.
    assert_eq!(kill(daemon).code, 137);
    assert!(!fs::exists(format!("/proc/{}/ns/net", process.pid)).unwrap());
}

#[test]
fn a_step_that_cannot_run_says_why() {
    let (place, mut daemon, init) = sleeping();
    let mut missing = spec(&place, init, "true");
    missing.process.arguments = vec!["no-such-program".to_owned()];
    let failure = start(&mut daemon, 1, missing, None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProgramNotFound, "{failure:?}");
    assert!(failure.message.contains("no-such-program"), "{failure:?}");
    let mut gone = spec(&place, init, "true");
    gone.namespaces.network = Namespace::Process(ProcessReference { start_time: 1, ..init });
    let failure = start(&mut daemon, 2, gone, None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::System, "{failure:?}");
    // A repeated request does not start it again.
    let first = start(&mut daemon, 3, spec(&place, init, "exec sleep 1000"), None).unwrap();
    let again = start(&mut daemon, 3, spec(&place, init, "exec sleep 1000"), None).unwrap();
    match (first, again) {
        (Answer::ExecStarted { process: first }, Answer::ExecStarted { process: again }) => {
            assert_eq!(first, again);
        }
        other => panic!("{other:?}"),
    }
    kill(daemon);
}
