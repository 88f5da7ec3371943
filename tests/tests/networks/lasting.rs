//! Networks and endpoints over the death of the daemon, and what is left when they are gone.

use berth_tests::host;
use berth_tests::other_host::{OtherHost, Servers, ask};
use serde_json::json;

use super::*;

#[test]
fn networks_and_places_in_them_outlive_the_daemon() {
    let mut engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    network(&engine, "a", "10.80.0.0/24", json!({ "Labels": { "x": "y" } }));
    network(&engine, "b", "10.81.0.0/24", json!({}));
    let published = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } });
    let web = engine.run(&merged(within("a"), published));
    connect(&engine, "b", &web, json!({}));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let seen =
        || (inside(&engine, &web), engine.inspect(&web)["NetworkSettings"].clone(), shown(&engine, "a"));
    let before = seen();
    engine.daemon.replace_daemon();
    let seen =
        || (inside(&engine, &web), engine.inspect(&web)["NetworkSettings"].clone(), shown(&engine, "a"));
    assert_eq!(seen(), before);
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok());
    let next = engine.run(&within("a"));
    assert_eq!(address(&engine, &next, "a"), Ipv4Addr::new(10, 80, 0, 3), "nothing is handed out twice");
    disconnect(&engine, "a", &web);
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "the port has moved");
}

#[test]
fn a_container_that_ended_meanwhile_has_left_its_networks() {
    let mut engine = Today::start();
    network(&engine, "a", "10.80.0.0/24", json!({}));
    let container = engine.run(&within("a"));
    let pid = engine.pid(&container);
    engine.daemon.kill_daemon();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid"),
        rustix::process::Signal::KILL,
    )
    .expect("killed");
    engine.daemon.start_daemon();
    berth_tests::wait::until("it has left", || {
        (shown(&engine, "a")["Containers"] == json!({})).then_some(())
    });
    let _ = engine.delete("/networks/a").expect(204);
    assert!(!host::interfaces_of(engine.daemon.network_pid()).iter().any(|link| link.starts_with("br-")));
}
