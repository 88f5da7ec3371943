//! Networks and endpoints over the death of the daemon, and what is left when they are gone.

use berth_tests::host;
use berth_tests::other_host::{OtherHost, Servers, ask};
use serde_json::json;

use super::*;

#[test]
fn the_default_bridge_never_gets_what_another_network_has() {
    let mut engine = Today::start_with(&["--bip=10.250.0.1/24"]);
    // What the default bridge would choose by itself.
    network(&engine, "taken", "172.30.0.0/16", json!({}));
    engine.daemon.stop_daemon();
    let text = engine.daemon.refuses_to_start(&["--bip=172.30.5.1/24"]);
    assert!(text.contains("172.30.0.0/16") && text.contains("taken"), "{text}");
    // As after a start of the machine.
    let script = "ip -o link show type bridge | awk -F': ' '{ print $2 }' | xargs -r -n 1 ip link del";
    let _ = host::in_network_of(engine.daemon.network_pid(), &["sh", "-ec", script]);
    engine.daemon.start_daemon_with_flags(&[]);
    let pools = shown(&engine, "bridge")["IPAM"]["Config"].clone();
    let subnet = pools[0]["Subnet"].as_str().expect("a subnet");
    assert!(!subnet.starts_with("172.30."), "{pools}");
    engine.daemon.stop_daemon();
    engine.daemon.start_daemon_with_flags(&["--bip=10.250.0.1/24"]);
}

#[test]
fn a_network_that_was_made_anew_under_its_name_takes_the_place_of_the_old_one() {
    let engine = Today::start();
    network(&engine, "again", "10.80.0.0/24", json!({}));
    let (first, second) = (engine.create(&within("again")), engine.create(&within("again")));
    for container in [&first, &second] {
        engine.start(container);
        let _ = engine.post(&format!("/containers/{container}/stop?t=0")).expect(204);
    }
    let _ = engine.delete("/networks/again").expect(204);
    network(&engine, "again", "10.81.0.0/24", json!({}));
    for container in [&first, &second] {
        let _ = engine.post(&format!("/containers/{container}/start")).expect(404);
    }
    let body = json!({ "Container": first, "Force": true });
    let _ = engine.post_json("/networks/again/disconnect", &body).expect(200);
    for container in [&first, &second] {
        connect(&engine, "again", container, json!({}));
        engine.start(container);
        assert!(address(&engine, container, "again").to_string().starts_with("10.81.0."));
    }
}

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

#[test]
fn a_removed_network_is_made_again_at_once_with_its_name_and_addresses() {
    let mut engine = Today::start();
    for round in 0..8 {
        network(&engine, "again", "10.88.0.0/24", json!({}));
        let container = engine.run(&within("again"));
        assert_eq!(address(&engine, &container, "again"), Ipv4Addr::new(10, 88, 0, 2), "round {round}");
        let reached = engine.exec(&container, &["ping", "-c1", "-W5", "10.88.0.1"]).stdout;
        assert!(reached.contains("1 packets received"), "round {round}: {reached}");
        let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
        let _ = engine.delete("/networks/again").expect(204);
        if round % 3 == 2 {
            engine.daemon.replace_daemon();
            let _ = engine.get("/networks/again").expect(404);
        }
    }
    let links = || host::interfaces_of(engine.daemon.network_pid());
    berth_tests::wait::until("nothing is left", || {
        links().iter().all(|link| !link.starts_with("br-") && !link.starts_with("bs")).then_some(())
    });
}

#[test]
fn a_bridge_that_somebody_removed_is_made_again_with_all_that_was_on_it() {
    let engine = Today::start();
    for (name, subnet, icc) in [("open", "10.88.0.0/24", "true"), ("closed", "10.89.0.0/24", "false")] {
        let options = json!({ "Options": { "com.docker.network.bridge.enable_icc": icc } });
        let id = network(&engine, name, subnet, options);
        let old = engine.run(&within(name));
        let bridge = format!("br-{}", &id[..12]);
        let pid = engine.daemon.network_pid();
        let _ = host::in_network_of(pid, &["ip", "link", "delete", &bridge]);
        let new = engine.run(&within(name));
        assert!(host::interfaces_of(pid).contains(&bridge), "{name}");
        let gateway = shown(&engine, name)["IPAM"]["Config"][0]["Gateway"].as_str().expect("it").to_owned();
        let neighbour = address(&engine, &old, name).to_string();
        for (container, target, count) in
            [(&old, &gateway, 1), (&new, &gateway, 1), (&new, &neighbour, u8::from(icc == "true"))]
        {
            let reached = engine.exec(container, &["ping", "-c1", "-W2", target]).stdout;
            assert!(reached.contains(&format!("{count} packets received")), "{name} {target}: {reached}");
        }
    }
}
