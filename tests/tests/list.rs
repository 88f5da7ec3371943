//! `GET /containers/json`: which containers, in which order, with which fields.

use berth_tests::{Context, Engine, SetOnDrop, merged, query, sh, volumes, wait};
use serde_json::{Value, json};

/// The ids of a list.
fn ids(engine: &Engine, parameters: &[(&str, &str)]) -> Vec<String> {
    let listed = engine.get(&format!("/containers/json{}", query(parameters))).expect(200).json();
    let id = |container: &Value| container["Id"].as_str().expect("an id").to_owned();
    listed.as_array().expect("a list").iter().map(id).collect()
}

#[test]
fn only_running_containers_unless_all_are_asked_for() {
    let engine = Engine::start();
    let created = engine.create(&sh("true"));
    let exited = engine.run(&sh("exit 4"));
    assert_eq!(engine.wait(&exited), 4);
    let running = engine.run(&sh("sleep 600"));
    assert_eq!(ids(&engine, &[]), [running.as_str()]);
    for all in ["1", "true", "True"] {
        assert_eq!(ids(&engine, &[("all", all)]), [running.as_str(), exited.as_str(), created.as_str()]);
    }
    for all in ["0", "false", ""] {
        assert_eq!(ids(&engine, &[("all", all)]), [running.as_str()]);
    }
}

#[test]
fn limit_since_and_before_include_those_that_do_not_run() {
    let engine = Engine::start();
    let made: Vec<String> = (0..4).map(|_| engine.create(&sh("true"))).collect();
    assert_eq!(ids(&engine, &[("limit", "2")]), [made[3].as_str(), made[2].as_str()]);
    assert_eq!(ids(&engine, &[("since", &made[1])]), [made[3].as_str(), made[2].as_str()]);
    assert_eq!(ids(&engine, &[("before", &made[2])]), [made[1].as_str(), made[0].as_str()]);
    assert_eq!(
        ids(&engine, &[("since", &made[0]), ("before", &made[3])]),
        [made[2].clone(), made[1].clone()]
    );
    assert_eq!(ids(&engine, &[("since", &made[0][..12]), ("limit", "1")]), [made[3].as_str()]);
    assert!(ids(&engine, &[]).is_empty());
}

#[test]
fn filters_choose_by_exit_code_status_and_label() {
    let engine = Engine::start();
    let labelled = merged(sh("exit 3"), json!({ "Labels": { "color": "red", "size": "" } }));
    let red = engine.run(&labelled);
    assert_eq!(engine.wait(&red), 3);
    let plain = engine.run(&sh("sleep 600"));
    let created = engine.create(&merged(sh("true"), json!({ "Labels": { "color": "blue" } })));
    let by = |filter: Value| ids(&engine, &[("all", "1"), ("filters", &filter.to_string())]);
    assert_eq!(by(json!({ "exited": ["3"] })), [red.as_str()]);
    assert!(by(json!({ "exited": ["7"] })).is_empty());
    assert_eq!(by(json!({ "status": ["running"] })), [plain.as_str()]);
    assert_eq!(by(json!({ "status": ["exited"] })), [red.as_str()]);
    assert_eq!(by(json!({ "status": ["created"] })), [created.as_str()]);
    assert_eq!(by(json!({ "label": ["color"] })), [created.as_str(), red.as_str()]);
    assert_eq!(by(json!({ "label": ["color=red"] })), [red.as_str()]);
    assert!(by(json!({ "label": ["color=red", "color=blue"] })).is_empty());
    for chosen in [true, false] {
        assert_eq!(by(json!({ "label": { "color=red": chosen } })), [red.as_str()]);
    }
    let _ = engine.post(&format!("/containers/{plain}/pause")).expect(204);
    assert_eq!(by(json!({ "status": ["paused"] })), [plain.as_str()]);
    let _ = engine.post(&format!("/containers/{plain}/unpause")).expect(204);
    let filter = json!({ "status": ["exited"] }).to_string();
    assert_eq!(ids(&engine, &[("filters", &filter)]), [red.as_str()]);
}

#[test]
fn filters_choose_by_image_network_mount_and_port() {
    let engine = Engine::start();
    let _ = engine.post("/images/busybox/tag?repo=other&tag=x").expect(201);
    let built = engine.build(&[], Context::of("FROM busybox\nENV a=b\n")).image();
    let published = json!({ "80/tcp": [{ "HostPort": "8080" }] });
    let with = merged(
        sh("sleep 600"),
        json!({ "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "Volumes": { "/made-up": {} },
                "HostConfig": { "PortBindings": published, "Binds": ["data:/v", "/tmp:/hosts"] } }),
    );
    let idle = engine.create(&with);
    let web = engine.run(&with);
    let alone = engine.run(&merged(sh("sleep 600"), json!({ "HostConfig": { "NetworkMode": "none" } })));
    let shared = json!({ "HostConfig": { "NetworkMode": format!("container:{alone}") } });
    let joined = engine.create(&merged(sh("true"), shared));
    let child =
        engine.create(&json!({ "Image": built, "Cmd": ["true"], "HostConfig": { "NetworkMode": "host" } }));
    let names = [(&idle, "idle"), (&web, "web"), (&alone, "alone"), (&joined, "joined"), (&child, "child")];
    let image =
        engine.get("/images/busybox/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let all = "child joined alone web idle";
    for (filter, wanted) in [
        (json!({ "ancestor": ["busybox"] }), all),
        (json!({ "ancestor": ["other:x"] }), all),
        (json!({ "ancestor": [image] }), all),
        (json!({ "ancestor": [format!("sha256:{}", &image[..12])] }), all),
        (json!({ "ancestor": [built] }), "child"),
        (json!({ "ancestor": ["other"] }), ""),
        (json!({ "ancestor": ["BAD!", ""] }), ""),
        (json!({ "ancestor": ["nosuch", built] }), "child"),
        (json!({ "network": ["bridge"] }), "web idle"),
        (json!({ "network": ["none"] }), "alone"),
        (json!({ "network": ["host", "none"] }), "child alone"),
        (json!({ "network": ["nosuch"] }), ""),
        (json!({ "volume": ["data"] }), "web idle"),
        (json!({ "volume": ["/v"] }), "web idle"),
        (json!({ "volume": ["/tmp"] }), "web idle"),
        (json!({ "volume": ["/made-up"] }), "web idle"),
        (json!({ "volume": ["dat"] }), ""),
        (json!({ "volume": [""] }), ""),
        // Ports are those that the list shows: of containers that run.
        (json!({ "publish": ["8080"] }), "web"),
        (json!({ "publish": ["8000-9000/tcp"] }), "web"),
        (json!({ "publish": ["80"] }), ""),
        (json!({ "publish": ["8080/udp"] }), ""),
        (json!({ "publish": ["0-65535/udp"] }), ""),
        (json!({ "expose": ["80"] }), "web"),
        (json!({ "expose": ["50-60/udp"] }), "web"),
        (json!({ "expose": ["53"] }), ""),
        (json!({ "expose": ["8080"] }), ""),
        (json!({ "publish": ["8080"], "network": ["none"] }), ""),
        (json!({ "before": [web] }), "idle"),
        (json!({ "since": [web] }), "child joined alone"),
        (json!({ "since": [idle, web], "before": [child] }), "joined alone"),
        (json!({ "before": [idle], "since": [child] }), ""),
        (json!({ "health": ["none"] }), all),
        (json!({ "health": ["healthy", "starting", "unhealthy"] }), ""),
        (json!({ "is-task": ["false"] }), all),
        (json!({ "is-task": ["true"] }), ""),
        (json!({ "isolation": ["default"] }), all),
        (json!({ "isolation": ["hyperv"] }), ""),
        (json!({ "id": [web[..7]] }), "web"),
        (json!({ "id": [web[3..9], ""] }), ""),
        (json!({ "status": ["removing", "dead"] }), ""),
        (json!({ "name": ["["] }), ""),
        (json!({ "name": [""], "volume": [] }), all),
    ] {
        let listed = ids(&engine, &[("all", "1"), ("filters", &filter.to_string())]);
        let name = |id: &String| names.iter().find(|(known, _)| *known == id).expect("one of them").1;
        assert_eq!(listed.iter().map(name).collect::<Vec<_>>().join(" "), wanted, "{filter}");
    }
    let filter = json!({ "since": [idle] }).to_string();
    assert_eq!(ids(&engine, &[("filters", &filter)]), [alone.as_str(), web.as_str()], "those that run");
    [&idle, &web, &child].into_iter().for_each(|id| engine.remove(id));
    volumes::forget(&engine, "data");
    let _ = engine.delete("/images/other:x").expect(200);
    engine.forget_builds();
}

#[test]
fn an_entry_has_the_specified_fields() {
    let engine = Engine::start();
    let body = merged(
        sh("echo some bytes > /file; sleep 600"),
        json!({ "Labels": { "a": "b" }, "ExposedPorts": { "80/tcp": {} },
                "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "23456" }] } } }),
    );
    let id = engine.create_named("fields", &body);
    engine.start(&id);
    wait::until("the file", || (engine.exec(&id, &["cat", "/file"]).stdout == "some bytes\n").then_some(()));
    let listed = engine.get("/containers/json?size=1").expect(200).json();
    let entry = &listed[0];
    assert_eq!(entry["Id"], id.as_str());
    assert_eq!(entry["Names"], json!(["/fields"]));
    assert_eq!(entry["Image"], "busybox");
    assert!(entry["Command"].as_str().is_some_and(|command| command.starts_with("sh -c")), "{entry}");
    assert!(entry["Created"].as_i64().is_some_and(|seconds| seconds > 1_400_000_000));
    assert!(entry["Status"].as_str().is_some_and(|status| status.starts_with("Up ")), "{entry}");
    assert_eq!(entry["Labels"], json!({ "a": "b" }));
    assert_eq!(
        entry["Ports"],
        json!([{ "IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 23456, "Type": "tcp" }])
    );
    assert!(entry["SizeRw"].as_i64().is_some() && entry["SizeRootFs"].as_i64().is_some(), "{entry}");
    let without = engine.get("/containers/json").expect(200).json();
    assert!(without[0]["SizeRw"].as_i64().unwrap_or_default() == 0, "sizes cost time: only when asked for");
}

#[test]
fn bad_parameters_are_refused() {
    let engine = Engine::start();
    for (parameters, words) in [
        ("limit=abc", "abc"),
        ("limit=1.5", "1.5"),
        ("filters=%7Bbad", "filters must be a JSON object whose values are lists of strings: "),
        ("filters=%5B1%5D", "lists of strings: it is an array"),
        ("filters=%7B%22status%22%3A%5B%22nosuch%22%5D%7D", "Unrecognised filter value for status"),
        ("filters=%7B%22exited%22%3A%5B%22abc%22%5D%7D", "abc"),
        ("filters=%7B%22exited%22%3A%5B%22%22%5D%7D", "exited must be a whole number"),
        ("filters=%7B%22status%22%3A%5B%22%22%5D%7D", "Unrecognised filter value for status"),
        ("filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D", "Invalid filter 'nosuch'"),
        ("filters=%7B%22label%21%22%3A%5B%5D%7D", "Invalid filter 'label!'"),
        ("filters=%7B%22image%22%3A%5B%22busybox%22%5D%7D", "Invalid filter 'image'"),
        ("filters=%7B%22health%22%3A%5B%22well%22%5D%7D", "Invalid filter 'health=well'"),
        ("filters=%7B%22is-task%22%3A%5B%221%22%5D%7D", "Invalid filter 'is-task=1'"),
        ("filters=%7B%22isolation%22%3A%5B%22x%22%5D%7D", "Invalid filter 'isolation=x'"),
        ("filters=%7B%22publish%22%3A%5B%22abc%22%5D%7D", "publish must be a port or a range of ports"),
        ("filters=%7B%22publish%22%3A%5B%2290-80%22%5D%7D", "not \"90-80\""),
        ("filters=%7B%22expose%22%3A%5B%22%22%5D%7D", "expose must be a port or a range of ports"),
        ("filters=%7B%22expose%22%3A%5B%2299999%22%5D%7D", "99999"),
    ] {
        let answer = engine.get(&format!("/containers/json?{parameters}"));
        assert_eq!(answer.status(), 400, "{parameters}: {}", answer.status());
        assert!(answer.text().contains(words), "{parameters}: {}", answer.text());
    }
    let filter = "filters=%7B%22since%22%3A%5B%22nosuch%22%5D%7D";
    for parameters in ["since=nosuch", "before=nosuch", filter, &filter.replace("since", "before")] {
        let answer = engine.get(&format!("/containers/json?{parameters}")).expect(404);
        assert_eq!(answer.text(), "no such id: nosuch\n");
    }
}

#[test]
fn sizes_are_listed_while_containers_and_files_go() {
    let engine = Engine::start();
    let churn = "while :; do mkdir -p /d/e/f; touch /d/a /d/e/b /d/e/f/c; rm -r /d; done";
    let id = engine.run(&sh(churn));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                let gone = engine.create(&sh("true"));
                engine.remove(&gone);
            }
        });
        let _end = SetOnDrop(&over);
        for _ in 0..60 {
            let listed = engine.get("/containers/json?all=1&size=1").expect(200).json();
            let listed = listed.as_array().expect("a list").clone();
            assert!(listed.iter().any(|container| container["Id"] == json!(id)), "{listed:?}");
        }
    });
    engine.remove(&id);
    let orphan = engine.create(&sh("true"));
    let _ = engine.delete("/images/busybox?force=1").expect(200);
    let listed = engine.get("/containers/json?all=1&size=1").expect(200).json();
    assert_eq!(listed[0]["Id"], json!(orphan), "its image is gone, it is not");
}

#[test]
fn the_filter_by_exit_code_shows_all_that_have_run() {
    let engine = Engine::start();
    let created = engine.create(&sh("true"));
    let ended = engine.run(&sh("true"));
    assert_eq!(engine.wait(&ended), 0);
    let failed = engine.create(&merged(sh(""), json!({ "Cmd": ["/nosuch"] })));
    assert_ne!(engine.post(&format!("/containers/{failed}/start")).status(), 204);
    let filter = json!({ "exited": ["0", "127", "-1"] }).to_string();
    assert_eq!(ids(&engine, &[("filters", &filter)]), [ended.as_str()], "neither {created} nor {failed}");
}
