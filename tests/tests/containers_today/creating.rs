//! `POST /containers/create`: the settings of later versions.

use super::*;

/// Why a create with settings of the host is refused.
fn refused(client: &Client, settings: Value) -> String {
    client.post_json("/containers/create", &with("true", settings)).expect(400).message()
}

/// What a create warns of.
fn warnings(client: &Client, settings: Value) -> Vec<String> {
    let answer = client.post_json("/containers/create", &with("true", settings)).expect(201).json();
    serde_json::from_value(answer["Warnings"].clone()).expect("a list")
}

#[test]
fn warnings_are_a_list_and_say_what_has_no_effect() {
    let engine = Today::start();
    assert_eq!(warnings(&engine, json!({})), Vec::<String>::new());
    let old = engine.at("1.23").post_json("/containers/create", &sh("true")).expect(201).json();
    assert_eq!(old["Warnings"], Value::Null);
    let driver = json!({ "VolumeDriver": "local", "Mounts": [{ "Type": "volume", "Target": "/v" }] });
    assert!(warnings(&engine, driver.clone())[0].contains("volume-driver"));
    assert_eq!(warnings(&engine.at("1.47"), driver), Vec::<String>::new());
    let unbound = json!({ "PortBindings": { "80/tcp": [] } });
    let of_52 = warnings(&engine.at("1.52"), unbound.clone());
    assert!(of_52.len() == 1 && of_52[0].contains("80/tcp"), "{of_52:?}");
    assert_eq!(warnings(&engine.at("1.51"), unbound.clone()), Vec::<String>::new());
    let id = engine.create(&with("true", unbound));
    assert_eq!(host(&engine, &id)["PortBindings"], json!({}));
    if !berth_tests::cgroup::is_unified() {
        let endless = warnings(&engine, json!({ "OomKillDisable": true }));
        assert!(endless[0].contains("OOM killer is disabled"), "{endless:?}");
        let limited = json!({ "OomKillDisable": true, "Memory": 64 << 20, "MemorySwap": -1 });
        assert_eq!(warnings(&engine, limited), Vec::<String>::new());
    }
}

#[test]
fn platforms_are_those_of_the_image() {
    let engine = Today::start();
    let image = engine.get("/images/busybox/json").expect(200).json();
    let own =
        format!("{}/{}", image["Os"].as_str().expect("one"), image["Architecture"].as_str().expect("one"));
    let create = |client: &Client, platform: &str| {
        let query = query(&[("platform", platform)]);
        client.post_json(&format!("/containers/create{query}"), &sh("true"))
    };
    let _ = create(&engine, &own).expect(201);
    assert_eq!(
        create(&engine, "linux/s390x").expect(404).message(),
        "image with reference busybox was found but does not provide the specified platform (linux/s390x)"
    );
    assert!(create(&engine, "a/b/c/d/e").expect(400).message().contains("platform"));
    let _ = create(&engine.at("1.40"), "linux/s390x").expect(201);
}

#[test]
fn annotations_are_kept_since_1_43() {
    let engine = Today::start();
    let settings = json!({ "Annotations": { "k": "v" } });
    let id = engine.create(&with("true", settings.clone()));
    assert_eq!(host(&engine, &id)["Annotations"], json!({ "k": "v" }));
    assert!(!has(&host(&engine.at("1.42"), &id), "Annotations"));
    let old = engine.at("1.42").create(&with("true", settings));
    assert!(!has(&host(&engine, &old), "Annotations"));
    assert_eq!(
        refused(&engine, json!({ "Annotations": { "": "v" } })),
        "invalid Annotations: the empty string is not permitted as an annotation key"
    );
}

#[test]
fn what_contradicts_itself_or_is_no_address_is_refused_since_1_24() {
    let engine = Today::start();
    let host = |settings: Value| json!({ "HostConfig": settings });
    for (settings, words) in [
        (
            json!({ "Hostname": "x", "HostConfig": { "UTSMode": "host" } }),
            "conflicting options: hostname and the UTS mode",
        ),
        (
            host(json!({ "RestartPolicy": { "Name": "always", "MaximumRetryCount": 4 } })),
            "maximum retry count",
        ),
        (host(json!({ "RestartPolicy": { "Name": "no", "MaximumRetryCount": 4 } })), "maximum retry count"),
        (host(json!({ "Dns": ["x"] })), "\"x\" is not an IP address"),
        (
            host(json!({ "PortBindings": { "80/tcp": [{ "HostIp": "x" }] } })),
            "invalid IP address of the host: \"x\"",
        ),
        (json!({ "ExposedPorts": { "99999": {} } }), "99999"),
        (json!({ "ExposedPorts": { "x": {} } }), "Invalid port specification"),
    ] {
        let body = merged(sh("true"), settings);
        let refused = engine.post_json("/containers/create", &body).expect(400).message();
        assert!(refused.contains(words), "{body}: {refused}");
        engine.at("1.23").remove(&engine.at("1.23").create(&body));
    }
    let taken = json!({
        "Hostname": "x", "ExposedPorts": { "80/foo": {}, "81-82/tcp": {} },
        "HostConfig": { "Dns": ["fe80::1%eth0", "9.9.9.9"], "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 4 } },
    });
    engine.remove(&engine.create(&merged(sh("true"), taken)));
    let mac = merged(sh("true"), json!({ "MacAddress": "xx" }));
    let _ = engine.at("1.43").post_json("/containers/create", &mac).expect(400);
}

#[test]
fn what_there_is_not_is_refused_before_anything_is_made() {
    let engine = Today::start();
    for (settings, words) in [
        (json!({ "NanoCpus": 4_096_000_000_000_i64 }), "range of CPUs is from 0.01 to"),
        (json!({ "NanoCpus": 1_000_000_000, "CpuQuota": 50_000 }), "Conflicting options"),
        (json!({ "LogConfig": { "Type": "nosuchdriver" } }), "nosuchdriver"),
        (json!({ "LogConfig": { "Type": "json-file", "Config": { "foo": "1" } } }), "unknown log opt 'foo'"),
        (json!({ "Runtime": "nosuchruntime" }), "nosuchruntime"),
        (json!({ "StorageOpt": { "size": "1" , "x": "" } }), "Unknown option x"),
        (json!({ "ShmSize": -1 }), "SHM size"),
        (json!({ "OomScoreAdj": 1001 }), "oom score"),
        (json!({ "Isolation": "hyperv" }), "Isolation"),
        (json!({ "CgroupnsMode": "nonsense" }), "invalid cgroup namespace mode: nonsense"),
        (json!({ "Binds": ["/tmp:/"] }), "destination can't be '/'"),
        (json!({ "Binds": ["a:/x"] }), "volume name is too short"),
    ] {
        let message = refused(&engine, settings.clone());
        assert!(message.contains(words), "{settings}: {message}");
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
    // Clients of 1.23 learn of the log at the start.
    let old = engine.at("1.23").create(&with("true", json!({ "LogConfig": { "Type": "nosuchdriver" } })));
    let _ = engine.at("1.23").post(&format!("/containers/{old}/start")).expect(500);
    let own = engine.create(&with("true", json!({ "Runtime": "berth" })));
    assert_eq!(host(&engine, &own)["Runtime"], "berth");
}

#[test]
fn less_than_6_mebibytes_of_memory_are_refused_since_1_41() {
    let engine = Today::start();
    let least = "Minimum memory limit allowed is 6MB";
    let below = json!({ "Memory": (6 << 20) - 1 });
    assert_eq!(refused(&engine, below.clone()), least);
    let earlier = engine.at("1.40");
    let body = with("true", below.clone());
    earlier.remove(&earlier.create(&body));
    let exact = engine.create(&with("true", json!({ "Memory": 6 << 20 })));
    let path = format!("/containers/{exact}/update");
    let refused = engine.post_json(&path, &below).expect(400).message();
    assert_eq!(refused, format!("Cannot update container {exact}: {least}"));
    let _ = earlier.post_json(&path, &below).expect(200);
    engine.remove(&exact);
}

#[test]
fn modes_of_binds_are_refused_in_todays_words() {
    let engine = Today::start();
    let refused = engine.post_json("/containers/create", &with("true", json!({ "Binds": ["/tmp:/x:foo"] })));
    assert_eq!(refused.expect(500).message(), "invalid mode: foo");
}
