//! Names of containers within user-defined networks, as programs inside query them at 127.0.0.11.

use std::net::UdpSocket;
use std::time::Duration;
use std::{fs, io};

use berth_tests::{host, wait};
use serde_json::json;

use super::*;

/// Of a question and an answer: an address of IPv4, in the Internet.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// The result for an unknown name.
const NOBODY: [Ipv4Addr; 0] = [];

/// A container that sends queries: for unknown names it gets an error at once, as there is no upstream
/// server.
fn asking(network: &str) -> Value {
    merged(within(network), json!({ "HostConfig": { "Dns": ["127.0.0.1"] } }))
}

/// The addresses of a name as a process of this network namespace gets them, in order; none where the server
/// knows none.
fn ask(pid: u32, name: &str) -> io::Result<Vec<Ipv4Addr>> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend(A_IN);
    let socket = host::within_network_of(pid, || UdpSocket::bind("127.0.0.1:0")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.connect("127.0.0.11:53")?;
    socket.send(&query)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let answer = &answer[..length];
    assert_eq!(&answer[..2], &query[..2]);
    // Each record: a pointer to the name, its kind, its time to live, its length, and the address.
    let count = usize::from(answer[7]);
    let mut addresses: Vec<Ipv4Addr> = answer[query.len()..][..16 * count]
        .chunks(16)
        .map(|record| {
            assert_eq!((record[0] & 0xc0, &record[2..6], record[11]), (0xc0, &A_IN[..], 4), "{record:?}");
            Ipv4Addr::new(record[12], record[13], record[14], record[15])
        })
        .collect();
    addresses.sort();
    Ok(addresses)
}

/// The same where there is a server.
fn found(pid: u32, name: &str) -> Vec<Ipv4Addr> {
    ask(pid, name).unwrap_or_else(|error| panic!("no answer about {name}: {error}"))
}

fn resolv_conf(engine: &Today, container: &str) -> String {
    engine.exec(container, &["cat", "/etc/resolv.conf"]).stdout
}

#[test]
fn containers_find_each_other_by_all_their_names() {
    let engine = Today::start();
    network(&engine, "own", "10.80.0.0/24", json!({}));
    network(&engine, "far", "10.81.0.0/24", json!({}));
    let settings = json!({ "Hostname": "front", "NetworkingConfig": { "EndpointsConfig": {
        "own": { "Aliases": ["www", "all"] }, "far": { "Aliases": ["distant"] } } } });
    let web = engine.create_named("web", &merged(within("own"), settings));
    let all = json!({ "NetworkingConfig": { "EndpointsConfig": { "own": { "Aliases": ["all"] } } } });
    let client = engine.run(&merged(asking("own"), all));
    let pid = engine.pid(&client);
    assert_eq!(found(pid, "web"), NOBODY, "not while it does not run");
    engine.start(&web);
    let (near, own) = (address(&engine, &web, "own"), address(&engine, &client, "own"));
    for name in ["web", "WWW", "front", &web[..12], "web.own", "www.Own", &format!("{}.own", &web[..12])] {
        assert_eq!(found(pid, name), [near], "{name}");
    }
    assert_eq!(found(engine.pid(&web), &client[..12]), [own], "the other way");
    assert_eq!(found(pid, "all"), [own, near], "of all that have the alias");
    for name in ["distant", "web.far", &web[..20], "own", "nobody"] {
        assert_eq!(found(pid, name), NOBODY, "{name}");
    }
    connect(&engine, "far", &client, json!({}));
    assert_eq!(found(pid, "distant"), [address(&engine, &web, "far")]);
    let hosts = engine.exec(&client, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{own}\t{}", &client[..12])) && !hosts.contains("web"), "{hosts}");
}

#[test]
fn names_come_and_go_with_what_happens() {
    let engine = Today::start();
    network(&engine, "own", "10.80.0.0/24", json!({}));
    let client = engine.run(&asking("own"));
    let pid = engine.pid(&client);
    let web = engine.create_named("web", &within("bridge"));
    engine.start(&web);
    assert_eq!(found(pid, "web"), NOBODY, "in another network");
    connect(&engine, "own", &web, json!({ "Aliases": ["www"] }));
    let at = address(&engine, &web, "own");
    assert_eq!((found(pid, "web"), found(pid, "www")), (vec![at], vec![at]));
    let _ = engine.post("/containers/web/rename?name=shop").expect(204);
    assert_eq!((found(pid, "shop"), found(pid, "web"), found(pid, "www")), (vec![at], vec![], vec![at]));
    let _ = engine.post("/containers/shop/pause").expect(204);
    assert_eq!(found(pid, "shop"), [at], "paused");
    let _ = engine.post("/containers/shop/unpause").expect(204);
    disconnect(&engine, "own", &web);
    assert_eq!((found(pid, "shop"), found(pid, "www")), (vec![], vec![]));
    connect(&engine, "own", &web, json!({}));
    assert_eq!(found(pid, "shop"), [address(&engine, &web, "own")]);
    let _ = engine.post("/containers/shop/kill").expect(204);
    wait::until("the name of one that has ended is gone", || found(pid, "shop").is_empty().then_some(()));
    engine.start(&web);
    assert_eq!(found(pid, "shop"), [address(&engine, &web, "own")], "started again");
}

#[test]
fn names_do_not_need_the_daemon() {
    let mut engine = Today::start();
    let own = network(&engine, "own", "10.80.0.0/24", json!({}));
    let settings = json!({ "NetworkingConfig": { "EndpointsConfig": { "own": { "Links": ["web:db"] } } } });
    let client = engine.run(&merged(asking("own"), settings));
    for name in ["web", "late"] {
        let id = engine.create_named(name, &within("own"));
        engine.start(&id);
    }
    let (at, pid) = (address(&engine, "web", "own"), engine.pid(&client));
    let late = engine.pid("late");
    let directory = engine.daemon.exec_root().join("networks");
    let file = directory.join(format!("{own}.names"));
    let stray = directory.join(format!("{}.names", "e".repeat(64)));
    engine.daemon.kill_daemon();
    assert_eq!((found(pid, "web"), found(pid, "db"), found(pid, "web.own")), (vec![at], vec![at], vec![at]));
    let late = rustix::process::Pid::from_raw(i32::try_from(late).expect("a pid")).expect("a pid");
    rustix::process::kill_process(late, rustix::process::Signal::KILL).expect("killed");
    fs::write(&stray, "berth-names 1 stray\n").expect("written");
    engine.daemon.start_daemon();
    assert_eq!((found(pid, "web"), found(pid, "db")), (vec![at], vec![at]));
    wait::until("who ended meanwhile has no name", || found(pid, "late").is_empty().then_some(()));
    assert!(file.exists() && !stray.exists(), "files of no network are swept");
    let _ = engine.post("/containers/web/rename?name=shop").expect(204);
    assert_eq!((found(pid, "shop"), found(pid, "web")), (vec![at], vec![]), "the new daemon knows all names");
    let next = engine.create_named("next", &within("own"));
    engine.start(&next);
    assert_eq!(found(pid, "next"), [address(&engine, &next, "own")]);
    for container in [&client, "shop", "late", &next] {
        let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
    }
    let _ = engine.delete("/networks/own").expect(204);
    assert_eq!(host::files_of(&directory), [].into(), "the file goes with its network");
}

#[test]
fn the_default_network_has_no_name_server() {
    let engine = Today::start();
    network(&engine, "own", "10.80.0.0/24", json!({}));
    let settings = json!({ "HostConfig": { "Dns": ["127.0.0.1", "192.0.2.1"], "DnsSearch": ["a.example"],
                                           "DnsOptions": ["timeout:1"] } });
    let container = engine.run(&idle(settings.clone()));
    let pid = engine.pid(&container);
    let of_bridge = "nameserver 127.0.0.1\nnameserver 192.0.2.1\nsearch a.example\noptions timeout:1\n";
    let of_own = "nameserver 127.0.0.11\nsearch a.example\noptions timeout:1 ndots:0\n";
    let is_silent =
        || ask(pid, &container[..12]).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    assert_eq!((resolv_conf(&engine, &container).as_str(), is_silent()), (of_bridge, true));
    connect(&engine, "own", &container, json!({}));
    assert_eq!(resolv_conf(&engine, &container), of_own, "connected later");
    assert_eq!(found(pid, &container[..12]), [address(&engine, &container, "own")]);
    disconnect(&engine, "own", &container);
    assert_eq!((resolv_conf(&engine, &container).as_str(), is_silent()), (of_bridge, true));
    let changed = engine.exec(&container, &["sh", "-c", "echo '# mine' > /etc/resolv.conf"]);
    assert_eq!(changed.code, 0);
    connect(&engine, "own", &container, json!({}));
    assert_eq!(resolv_conf(&engine, &container), "# mine\n", "what the container wrote stays");
    let started = engine.run(&merged(within("own"), settings));
    assert_eq!(resolv_conf(&engine, &started), of_own);
}

#[test]
fn links_are_names_for_the_one_that_asked() {
    let engine = Today::start();
    network(&engine, "own", "10.80.0.0/24", json!({}));
    let web = engine.create_named("web", &within("own"));
    let links = json!({ "HostConfig": { "Links": ["web:store"] }, "NetworkingConfig": { "EndpointsConfig": {
        "own": { "Links": ["web:db", "late:soon"] } } } });
    let client = engine.run(&merged(asking("own"), links));
    let other = engine.run(&asking("own"));
    engine.start(&web);
    let (pid, at) = (engine.pid(&client), address(&engine, &web, "own"));
    assert_eq!((found(pid, "db"), found(pid, "store")), (vec![at], vec![at]));
    assert_eq!((found(pid, "soon"), found(engine.pid(&other), "db")), (vec![], vec![]));
    let late = engine.create_named("late", &within("own"));
    engine.start(&late);
    assert_eq!(found(pid, "soon"), [address(&engine, &late, "own")]);
    let _ = engine.post("/containers/web/rename?name=shop").expect(204);
    assert_eq!(found(pid, "store"), [at], "a link of the container itself knows its target by id");
    let environment = engine.exec(&client, &["env"]).stdout;
    let hosts = engine.exec(&client, &["cat", "/etc/hosts"]).stdout;
    assert!(!environment.contains("STORE_") && !hosts.contains("store"), "{environment}{hosts}");
}
