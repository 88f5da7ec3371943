//! Steps that run in one container, one after the other: what they share, and that nothing of one is in the next but its files.

use berth_tests::{Engine, host};

use crate::client::{Order, Outcome, run};
use crate::endings::{Begun, begin_order, nothing_is_left};
use crate::offers::Offers;

const SLEEPING: &str = "FROM busybox\nRUN true\nRUN sleep 600\n";

fn order(dockerfile: &str) -> Order {
    Order::of(Offers::of(dockerfile, &[]), "hosted")
}

pub(crate) fn built(engine: &Engine, dockerfile: &str) -> Outcome {
    let outcome = run(order(dockerfile).run(engine.socket()));
    outcome.result.as_ref().expect("a build");
    outcome
}

/// The one container that runs: its id, and the command that it shows.
pub(crate) fn running(engine: &Engine) -> Option<(String, String)> {
    let listed = engine.at("1.55").get("/containers/json").expect(200).json();
    let [container] = listed.as_array().expect("a list").as_slice() else { return None };
    let text = |key: &str| container[key].as_str().expect("a text").to_owned();
    Some((text("Id"), text("Command")))
}

/// The number of the process that the second step has become.
fn sleeping(engine: &Engine) -> Option<u32> {
    let (id, _) = running(engine)?;
    let answer = engine.get(&format!("/containers/{id}/top?ps_args=-eo%20pid,args"));
    // It may have ended just now.
    let processes = (answer.status() == 200).then(|| answer.json())?;
    let mut rows = processes["Processes"].as_array()?.iter();
    rows.find(|row| row[1] == "sleep 600")?[0].as_str()?.parse().ok()
}

/// Begins a build of which the second step sleeps.
async fn begin(engine: &Engine) -> Begun {
    let sleeps = async |_: &_| sleeping(engine).is_some();
    begin_order(engine.socket(), order(SLEEPING), sleeps).await
}

/// How many containers were ever made.
pub(crate) fn made(engine: &Engine) -> usize {
    let filters = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%5D%7D";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let events = engine.get(&format!("/events?since=1&until={}&filters={filters}", now + 1)).expect(200);
    events.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

#[test]
fn steps_of_a_stage_share_a_container_and_nothing_of_one_is_in_the_next() {
    let engine = Engine::start();
    let leaving = "RUN sleep 600 & touch /dev/shm/left /dev/left /run-left; hostname; echo $$\n";
    let looking = "RUN ls -d /dev/shm/* /dev/left /run-left 2> /dev/null; ps | grep -c '[s]leep'; echo $$\n";
    let outcome = built(&engine, &format!("FROM busybox\n{leaving}{looking}"));
    let output = outcome.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[1..], ["1", "/run-left", "0", "1"], "{output}");
    assert_eq!(made(&engine), 1);
    engine.forget_builds();
    nothing_is_left(&engine);
}

#[test]
fn a_network_in_which_something_was_sent_is_not_the_next_ones() {
    let engine = Engine::start();
    let counting = "awk '/ lo:/ { print $3 }' /proc/net/dev";
    let steps = format!(
        "RUN {counting}; ping -c 1 127.0.0.1 > /dev/null\nRUN {counting}; echo second\nRUN {counting}\n"
    );
    let outcome = built(&engine, &format!("FROM busybox\n{steps}"));
    assert_eq!(outcome.output(), "0\n0\nsecond\n0\n");
    assert_eq!(made(&engine), 2);
    engine.forget_builds();
    nothing_is_left(&engine);
}

#[test]
fn steps_with_other_networks_have_other_containers() {
    let engine = Engine::start();
    let look = "ls /sys/class/net";
    let steps =
        format!("RUN {look}\nRUN --network=none {look}\nRUN {look} /\nRUN --network=none {look} /tmp\n");
    let outcome = built(&engine, &format!("FROM busybox\n{steps}"));
    let output = outcome.output();
    assert!(output.starts_with("eth0\nlo\nlo\n"), "{output}");
    assert_eq!(made(&engine), 2);
    engine.forget_builds();
    nothing_is_left(&engine);
}

#[test]
fn a_container_shows_the_step_that_runs_in_it() {
    let engine = Engine::start();
    run(async {
        let begun = begin(&engine).await;
        let (_, command) = running(&engine).expect("a container");
        assert!(command.contains("sleep 600"), "{command}");
        begun.call.abort();
    });
    nothing_is_left(&engine);
    engine.forget_builds();
}

#[test]
fn a_step_whose_container_is_removed_was_killed() {
    let engine = Engine::start();
    let text = run(async {
        let begun = begin(&engine).await;
        let (id, _) = running(&engine).expect("a container");
        // The build, whose step has ended with it, may be the one that removes it.
        let _ = engine.delete(&format!("/containers/{id}?force=1"));
        begun.call.await.expect("the call").expect_err("a failed build").1
    });
    assert!(text.contains("did not complete successfully: exit code: 137"), "{text}");
    nothing_is_left(&engine);
    engine.forget_builds();
}

#[test]
fn a_step_whose_shim_is_killed_was_killed() {
    let engine = Engine::start();
    let text = run(async {
        let begun = begin(&engine).await;
        for shim in engine.shims().difference(&engine.parked_shims()) {
            let shim = i32::try_from(*shim).ok().and_then(rustix::process::Pid::from_raw).expect("a number");
            rustix::process::kill_process(shim, rustix::process::Signal::KILL).expect("a shim to kill");
        }
        begun.call.await.expect("the call").expect_err("a failed build").1
    });
    assert!(text.contains("did not complete successfully: exit code: 137"), "{text}");
    nothing_is_left(&engine);
    engine.forget_builds();
}

#[test]
fn kill_9_of_the_daemon_leaves_nothing_of_a_second_step() {
    let mut engine = Engine::start();
    let step = run(async {
        let begun = begin(&engine).await;
        let step = sleeping(&engine).expect("a process");
        engine.kill_daemon();
        begun.call.await.expect("the call").expect_err("no answer");
        step
    });
    engine.start_daemon();
    nothing_is_left(&engine);
    assert!(!host::runs(step));
    assert_eq!(built(&engine, "FROM busybox\nRUN echo one\nRUN echo two\n").output(), "one\ntwo\n");
    engine.forget_builds();
}

/// What clients are shown of containers.
fn listed(engine: &Engine) -> usize {
    engine.at("1.55").get("/containers/json?all=1").expect(200).json().as_array().map_or(0, Vec::len)
}

#[test]
fn nobody_is_shown_the_host_of_a_build_that_is_over() {
    let engine = Engine::start();
    for round in 0..8 {
        let _ = built(&engine, &format!("FROM busybox\nRUN echo {round} > /f\n"));
        assert_eq!(listed(&engine), 0);
        let removed = engine.at("1.55").delete("/images/hosted").expect(200).json();
        assert!(removed.as_array().is_some_and(|removed| removed.len() > 1), "nothing uses it: {removed}");
    }
    engine.forget_builds();
    nothing_is_left(&engine);
}

#[test]
fn the_end_of_the_daemon_waits_until_the_hosts_of_builds_are_gone() {
    let mut engine = Engine::start();
    let _ = built(&engine, "FROM busybox\nRUN echo one > /f\n");
    engine.stop_daemon();
    berth_tests::wait::until("the end of the shims", || engine.shims().is_empty().then_some(()));
    assert_eq!(engine.builds_with_files(), 0);
    engine.start_daemon();
    assert_eq!(listed(&engine), 0);
    engine.forget_builds();
}

#[test]
fn kill_9_of_the_daemon_behind_the_end_of_a_build_leaves_nothing() {
    let mut engine = Engine::start();
    for round in 0..4 {
        let _ = built(&engine, &format!("FROM busybox\nRUN echo {round} > /f\n"));
        engine.kill_daemon();
        engine.start_daemon();
        nothing_is_left(&engine);
    }
    engine.forget_builds();
}
