//! Containers that host steps while none runs in them: they are stopped, removed, or their shim or the daemon is killed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use berth_tests::Engine;
use berth_tests::registry::{Ending, Gate, Reply, Server};

use crate::client::{Order, run};
use crate::endings::{Begun, begin_order, nothing_is_left};
use crate::offers::Offers;
use crate::step_hosts::{built, made, running};

/// A build that stops between two steps: a download does not come before it is let through.
struct Held {
    server: Server,
    gate: Gate,
    begun: Begun,
}

impl Held {
    /// Begins it and waits until the first step is over.
    async fn begin(engine: &Engine, first: &str) -> Self {
        let gate = Gate::default();
        let holding = Arc::clone(&gate);
        let server = Server::start(engine, "127.0.0.1:0", move |_| {
            Reply::new(200).body("downloaded").ending(Ending::HeldAfter(0, Arc::clone(&holding)))
        });
        let steps = format!(
            "RUN {first}\nADD http://{}/file /file\nRUN echo two > /two\nRUN cat /one /file /two > /all\n",
            server.address
        );
        let order = Order::of(Offers::of(&format!("FROM busybox\n{steps}"), &[]), "held");
        let begun = begin_order(engine.socket(), order, async |_: &_| !server.asked().is_empty()).await;
        Self { server, gate, begun }
    }

    /// Lets the build go on to its end.
    async fn end(self) {
        self.gate.store(true, Ordering::SeqCst);
        self.begun.call.await.expect("the call").expect("a build");
        drop(self.server);
    }
}

fn check_and_forget(engine: &Engine) {
    assert_eq!(engine.output_of("held", "cat /all"), "one\ndownloadedtwo\n");
    engine.forget_builds();
    nothing_is_left(engine);
}

/// Later steps have another host if this was done to the first while it was idle.
fn goes_on_after(disturb: impl FnOnce(&Engine, &str)) {
    let engine = Engine::start();
    run(async {
        let held = Held::begin(&engine, "echo one > /one").await;
        let (id, _) = running(&engine).expect("an idle host");
        disturb(&engine, &id);
        held.end().await;
    });
    assert_eq!(made(&engine), 2);
    check_and_forget(&engine);
}

#[test]
fn an_idle_host_that_is_paused_is_not_used_again() {
    goes_on_after(|engine, id| {
        let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    });
}

#[test]
fn an_idle_host_that_is_stopped_is_not_used_again() {
    goes_on_after(|engine, id| {
        let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    });
}

#[test]
fn an_idle_host_that_is_killed_is_not_used_again() {
    goes_on_after(|engine, id| {
        let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    });
}

#[test]
fn an_idle_host_that_is_removed_is_not_used_again() {
    goes_on_after(|engine, id| {
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    });
}

#[test]
fn an_idle_host_whose_shim_is_killed_is_not_used_again() {
    goes_on_after(|engine, _| {
        for shim in engine.shims().difference(&engine.parked_shims()) {
            let shim = i32::try_from(*shim).ok().and_then(rustix::process::Pid::from_raw).expect("a number");
            rustix::process::kill_process(shim, rustix::process::Signal::KILL).expect("a shim to kill");
        }
        berth_tests::wait::until("no host", || running(engine).is_none().then_some(()));
    });
}

#[test]
fn kill_9_of_the_daemon_between_two_steps_leaves_nothing() {
    let mut engine = Engine::start();
    run(async {
        let held = Held::begin(&engine, "echo one > /one").await;
        running(&engine).expect("an idle host");
        engine.kill_daemon();
        held.begun.call.await.expect("the call").expect_err("no answer");
    });
    engine.start_daemon();
    nothing_is_left(&engine);
    run(async { Held::begin(&engine, "echo one > /one").await.end().await });
    check_and_forget(&engine);
}

#[test]
fn a_host_in_which_something_was_sent_goes_with_its_step() {
    let engine = Engine::start();
    run(async {
        let held = Held::begin(&engine, "echo one > /one; ping -c 1 127.0.0.1").await;
        berth_tests::wait::until("no host", || running(&engine).is_none().then_some(()));
        held.end().await;
    });
    assert_eq!(made(&engine), 2);
    check_and_forget(&engine);
}

/// Sends a packet in the network of an idle host, as its kernel may by itself; whether it was there still.
fn send_in(engine: &Engine, id: &str) -> bool {
    let inspected = engine.at("1.55").get(&format!("/containers/{id}/json"));
    let network = format!("--net=/proc/{}/ns/net", inspected.json()["State"]["Pid"]);
    let mut sent = std::process::Command::new("nsenter");
    let sent = sent.args([network.as_str(), "bash", "-c", "echo > /dev/udp/127.0.0.1/9"]).output();
    sent.expect("nsenter (util-linux)").status.success()
}

#[test]
fn a_packet_that_no_step_has_sent_wears_a_host_without_ipv6() {
    goes_on_after(|engine, id| assert!(send_in(engine, id)));
}

#[test]
fn hosts_are_used_again_in_networks_with_ipv6() {
    let engine = Engine::start_with_flags(&["--ipv6", "--fixed-cidr-v6=fd00:77::/64"]);
    for attempt in 0.. {
        let before = made(&engine);
        let host = run(async {
            let held = Held::begin(&engine, &format!("echo one > /one; true {attempt}")).await;
            let host = running(&engine).filter(|(id, _)| send_in(&engine, id));
            // The step behind it runs in it, and the last one too unless the kernel has sent something meanwhile.
            held.end().await;
            host
        });
        // The kernel may have sent something while the first step ran.
        if host.is_some() && made(&engine) == before + 1 {
            break;
        }
        assert!(attempt < 50, "no host was used again");
    }
    check_and_forget(&engine);
}

#[test]
fn steps_do_without_hosts_until_the_lowest_layer_can_be_made() {
    let engine = Engine::start();
    let lowest = engine.data_root().join("base-layer");
    fs::write(&lowest, "in its place").expect("a file");
    let steps = |text: &str| format!("FROM busybox\nRUN echo {text} one\nRUN echo {text} two\n");
    assert_eq!(built(&engine, &steps("first")).output(), "first one\nfirst two\n");
    assert_eq!(made(&engine), 2, "each has a container of its own");
    fs::remove_file(&lowest).expect("removed");
    assert_eq!(built(&engine, &steps("second")).output(), "second one\nsecond two\n");
    assert_eq!(made(&engine), 3, "both have one");
    engine.forget_builds();
    nothing_is_left(&engine);
}
