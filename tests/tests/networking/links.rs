//! Links: variables, hosts entries, names, and what becomes of them when either end changes.

use std::os::unix::fs::MetadataExt;

use berth_tests::cli::clients;
use berth_tests::{Engine, Options, merged, sh, wait};
use serde_json::{Value, json};

use crate::{address, idle, refused_start};

/// A container to link to.
fn target() -> Value {
    idle(json!({
        "Hostname": "dbhost",
        "Env": ["COLOUR=blue", "EMPTY=", "PATH=/bin", "HOME=/nowhere"],
        "ExposedPorts": { "5432/tcp": {}, "5433/tcp": {}, "53/udp": {} },
    }))
}

fn linked(links: &[&str]) -> Value {
    idle(json!({ "HostConfig": { "Links": links } }))
}

fn names(engine: &Engine, id: &str) -> Vec<String> {
    let listed = engine.get("/containers/json?all=1").expect(200).json();
    let found = listed.as_array().expect("a list").iter().find(|listed| listed["Id"] == id).cloned();
    let names = found.expect("listed")["Names"].clone();
    names.as_array().expect("names").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_link_gives_variables_hosts_entries_and_names() {
    let engine = Engine::start();
    let db = engine.create_named("db", &target());
    engine.start(&db);
    let web = engine.create_named("web", &linked(&["db:data-base", "/db"]));
    engine.start(&web);
    let ip = address(&engine, &db, "IPAddress");
    let expected = [
        "DATA_BASE_NAME=/web/data-base".to_owned(),
        // The port of the lowest number.
        format!("DATA_BASE_PORT=udp://{ip}:53"),
        format!("DATA_BASE_PORT_5432_TCP=tcp://{ip}:5432"),
        format!("DATA_BASE_PORT_5432_TCP_ADDR={ip}"),
        "DATA_BASE_PORT_5432_TCP_PORT=5432".to_owned(),
        "DATA_BASE_PORT_5432_TCP_PROTO=tcp".to_owned(),
        format!("DATA_BASE_PORT_5432_TCP_START=tcp://{ip}:5432"),
        format!("DATA_BASE_PORT_5432_TCP_END=tcp://{ip}:5433"),
        "DATA_BASE_PORT_5432_TCP_PORT_START=5432".to_owned(),
        "DATA_BASE_PORT_5432_TCP_PORT_END=5433".to_owned(),
        format!("DATA_BASE_PORT_5433_TCP=tcp://{ip}:5433"),
        format!("DATA_BASE_PORT_53_UDP=udp://{ip}:53"),
        "DATA_BASE_PORT_53_UDP_PROTO=udp".to_owned(),
        "DATA_BASE_ENV_COLOUR=blue".to_owned(),
        "DATA_BASE_ENV_EMPTY=".to_owned(),
        "DB_NAME=/web/db".to_owned(),
        format!("DB_PORT=udp://{ip}:53"),
    ];
    let of_init = engine.exec(&web, &["sh", "-c", "tr '\\0' '\\n' < /proc/1/environ"]).stdout;
    let of_exec = engine.exec(&web, &["env"]).stdout;
    for (who, environment) in [("init", of_init), ("exec", of_exec)] {
        for variable in &expected {
            assert!(environment.lines().any(|line| line == variable), "{who}: {variable} in {environment}");
        }
        assert!(
            !environment.contains("ENV_PATH") && !environment.contains("ENV_HOME"),
            "{who}: {environment}"
        );
    }
    let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{ip}\tdata-base dbhost db\n")), "{hosts}");
    assert!(hosts.contains(&format!("{ip}\tdb dbhost\n")), "{hosts}");
    assert_eq!(engine.exec(&web, &["ping", "-c", "1", "-W", "5", "data-base"]).code, 0);
    assert_eq!(names(&engine, &db), ["/db", "/web/data-base", "/web/db"]);
    assert_eq!(engine.inspect("web/data-base")["Id"], db.as_str());
    let shown = engine.inspect(&web)["HostConfig"]["Links"].clone();
    assert_eq!(shown, json!(["/db:/web/data-base", "/db:/web/db"]));
    // Both ends may be renamed.
    let _ = engine.post("/containers/db/rename?name=store").expect(204);
    let _ = engine.post("/containers/web/rename?name=front").expect(204);
    let shown = engine.inspect(&web)["HostConfig"]["Links"].clone();
    assert_eq!(shown, json!(["/store:/front/data-base", "/store:/front/db"]));
    assert_eq!(names(&engine, &db), ["/store", "/front/data-base", "/front/db"]);
    let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{ip}\tdata-base dbhost store\n")), "{hosts}");
    assert_eq!(hosts.matches("data-base").count(), 1, "{hosts}");
}

#[test]
fn hosts_files_follow_a_target_in_place() {
    let mut engine = Engine::start();
    let db = engine.create_named("db", &target());
    engine.start(&db);
    let web = engine.create_named("web", &linked(&["db:store"]));
    engine.start(&web);
    let file = engine.inspect(&web)["HostsPath"].as_str().expect("a path").to_owned();
    let inode = || std::fs::metadata(&file).expect("the hosts file").ino();
    let before = inode();
    let _ = engine.exec(&web, &["sh", "-c", "echo '1.2.3.4 mine' >> /etc/hosts"]);
    let mut former = address(&engine, &db, "IPAddress");
    for round in 0..3 {
        if round == 2 {
            engine.replace_daemon();
        }
        let _ = engine.post("/containers/db/restart?t=0").expect(204);
        let present = address(&engine, &db, "IPAddress");
        assert_ne!(present, former, "an address is not given again at once");
        let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
        assert!(hosts.contains(&format!("{present}\tstore dbhost db\n")), "{hosts}");
        assert!(!hosts.contains(&format!("{former}\t")) && hosts.contains("1.2.3.4 mine\n"), "{hosts}");
        assert_eq!(inode(), before);
        former = present;
    }
    // A start of the linking container takes over where its target is now.
    let _ = engine.post("/containers/web/restart?t=0").expect(204);
    let environment = engine.exec(&web, &["env"]).stdout;
    assert!(environment.contains(&format!("STORE_PORT_5432_TCP_ADDR={former}\n")), "{environment}");
}

#[test]
fn a_link_needs_its_target() {
    let engine = Engine::start();
    for (links, status, text) in [
        (["nope:x"].as_slice(), 500, "Could not get container for nope"),
        (&["nope"], 500, "Could not get container for nope"),
        (&[":x"], 500, "Could not get container for "),
        (&[""], 500, "empty string specified for links"),
        (&["a:b:c"], 500, "bad format for links: a:b:c"),
        (&["db:x y"], 500, "bad format for links: db:x y"),
        (&["db:x\n6.6.6.6 bank"], 500, "bad format for links: db:x\n6.6.6.6 bank"),
        (
            &["inhost:x"],
            409,
            "Conflicting options: --net=host can't be used with links. This would result in undefined behavior.",
        ),
        (&["db:x", "joined:y", "other:x"], 409, "Conflicting options: two links have the alias x"),
    ] {
        if links.len() == 1 && links[0].starts_with("inhost") {
            let _ = engine.create_named("inhost", &idle(json!({ "HostConfig": { "NetworkMode": "host" } })));
        } else if links.len() > 1 {
            for name in ["db", "other"] {
                let _ = engine.create_named(name, &target());
            }
            let _ = engine
                .create_named("joined", &idle(json!({ "HostConfig": { "NetworkMode": "container:db" } })));
        }
        let answer = engine.post_json("/containers/create?name=web", &linked(links)).expect(status);
        assert_eq!(answer.text(), format!("{text}\n"), "{links:?}");
    }
    // A stopped target stops the start; one in another's network stands for that one.
    let web = engine.create_named("web", &linked(&["db:x", "joined:y"]));
    assert_eq!(refused_start(&engine, &web, 500), "Cannot link to a non running container: /db AS /web/x");
    engine.start("db");
    engine.start(&web);
    let ip = address(&engine, "db", "IPAddress");
    let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{ip}\tx dbhost db\n{ip}\ty dbhost db\n")), "{hosts}");
    // A container cannot be linked to itself: it does not run when it starts.
    let answer = engine.post_json("/containers/web/start", &json!({ "Links": ["web:me"] }));
    assert_eq!(answer.status(), 304, "it runs");
    let _ = engine.post("/containers/web/stop?t=0").expect(204);
    let answer = engine.post_json("/containers/web/start", &json!({ "Links": ["web:me"] })).expect(500);
    assert!(
        answer.text().contains("Cannot link to a non running container: /web AS /web/me"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_link_goes_when_it_or_its_target_is_removed() {
    let engine = Engine::start();
    for name in ["db", "cache"] {
        let id = engine.create_named(name, &target());
        engine.start(&id);
    }
    let web = engine.create_named("web", &linked(&["db:one", "cache:two", "db:three"]));
    engine.start(&web);
    for docker in clients(&engine) {
        let finished = docker.run(&["rm", "--link", "/web/nope"]);
        assert!(finished.code != 0 && finished.stderr.contains("web/nope"), "{finished:?}");
    }
    assert_eq!(clients(&engine)[0].ok(&["rm", "--link", "/web/one"]), "/web/one");
    let text = engine.delete("/containers/web/one?link=1").expect(404).text();
    assert_eq!(text, "no such id: web/one\n");
    let text = engine.delete("/containers/web?link=1").expect(409).text();
    assert_eq!(text, "Conflict, cannot remove the default name of the container\n");
    let hosts = || engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(
        !hosts().contains("\tone ") && hosts().contains("\tthree ") && hosts().contains("\ttwo "),
        "{}",
        hosts()
    );
    assert_eq!(engine.inspect(&web)["HostConfig"]["Links"], json!(["/cache:/web/two", "/db:/web/three"]));
    engine.remove("cache");
    assert!(!hosts().contains("\ttwo "), "an address may become another's: {}", hosts());
    assert_eq!(engine.inspect(&web)["HostConfig"]["Links"], json!(["/db:/web/three"]));
    let _ = engine.get("/containers/web/two/json").expect(404);
    let _ = engine.post("/containers/web/restart?t=0").expect(204);
    assert!(!engine.exec(&web, &["env"]).stdout.contains("TWO_"), "it starts without");
    let _ = engine.delete("/containers/web/three?link=1").expect(204);
    assert_eq!(engine.inspect(&web)["HostConfig"]["Links"], json!(null), "none is left");
}

#[test]
fn policies_start_targets_and_owners_of_networks_first() {
    let mut engine =
        Engine::start_with(Options { arguments: vec!["--live-restore=false".into()], ..Options::default() });
    let always = json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } });
    let chain = ["c0", "c1", "c2", "c3"];
    for (number, name) in chain.iter().enumerate() {
        let over = match number {
            0 => json!({}),
            2 => json!({ "HostConfig": { "NetworkMode": "container:c1" } }),
            _ => json!({ "HostConfig": { "Links": [format!("{}:before", chain[number - 1])] } }),
        };
        let id = engine.create_named(name, &merged(merged(sh("sleep 600"), always.clone()), over));
        engine.start(&id);
    }
    engine.stop_daemon();
    engine.start_daemon();
    for name in chain {
        wait::until(name, || (engine.state(name, "Running") == true).then_some(()));
    }
    let hosts = engine.exec("c3", &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{}\tbefore ", address(&engine, "c1", "IPAddress"))), "{hosts}");
}
