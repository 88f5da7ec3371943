//! Streams of objects. Those of long operations: one object a line, each ended by `\r\n`, one object a chunk,
//! whatever its content. Events: one a line and a chunk.

use berth_tests::registry::{Content, Reply, Server, tar_of};
use berth_tests::{Context, Engine, query, rootfs, sh};
use serde_json::Value;

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

/// The objects of a stream, each a chunk of its own.
fn objects(engine: &Engine, path: &str, body: &[u8]) -> Vec<Value> {
    let (head, mut stream) = engine.open("POST", path, &TAR, body);
    assert_eq!(head.status, 200, "{path}");
    let mut objects = Vec::new();
    while let Some(chunk) = stream.read_chunk().expect("a chunk") {
        let text = String::from_utf8(chunk).expect("UTF-8");
        let line = text.strip_suffix("\r\n").unwrap_or_else(|| panic!("{path}: no line end after {text:?}"));
        assert!(!line.contains(['\r', '\n']), "{path}: {text:?}");
        objects.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}: {text:?}")));
    }
    objects
}

fn has_progress(objects: &[Value]) -> bool {
    objects.iter().any(|object| object["progressDetail"]["current"].is_u64())
}

#[test]
fn every_object_is_a_line_and_a_chunk() {
    let engine = Engine::start();
    let mut content = Content::default();
    let _ = content.image("x", &[tar_of(&[("f", b"<&>")]), tar_of(&[("g", &vec![7; 1 << 20])])]);
    let archive = rootfs::busybox();
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| match asked.path.as_str() {
        "/file" => Reply::new(200).body(vec![7; 1 << 20]),
        "/root.tar" => Reply::new(200).body(archive),
        _ => content.answer(asked),
    });
    let pulled = objects(&engine, "/images/create?fromImage=127.0.0.1:5000/a&tag=x", b"");
    assert!(has_progress(&pulled), "{pulled:?}");
    let pushed = objects(&engine, "/images/127.0.0.1:5000/a/push?tag=x", b"{}");
    assert!(pushed.len() > 1, "{pushed:?}");
    let source = query(&[("fromSrc", "http://127.0.0.1:5000/root.tar"), ("repo", "imported")]);
    assert!(has_progress(&objects(&engine, &format!("/images/create{source}"), b"")));
    let _ = engine.delete("/images/127.0.0.1:5000/a:x").expect(200);
    let context =
        Context::of("FROM 127.0.0.1:5000/a:x\nADD http://127.0.0.1:5000/file /file\nENV a=<b>\n").bytes();
    let built = objects(&engine, "/build?rm=1", &context);
    assert!(has_progress(&built), "{built:?}");
    assert!(built.iter().any(|object| object["stream"] == "Step 2 : ENV a <b>\n"), "{built:?}");
    let failed = objects(&engine, "/build", &Context::of("FROM busybox\nRUN exit 3\n").bytes());
    assert_eq!(failed.last().expect("an object")["errorDetail"]["code"], 3);
    drop(server);
    engine.forget_builds();
}

#[test]
fn every_event_is_a_chunk() {
    let engine = Engine::start();
    let id = engine.run(&sh("true"));
    assert_eq!(engine.wait(&id), 0);
    for number in 0..200 {
        let _ = engine.post(&format!("/containers/{id}/rename?name=n{number}")).expect(204);
    }
    engine.remove(&id);
    let (head, mut stream) = engine.open("GET", "/events?since=1&until=1", &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(stream.read_chunk().expect("the end"), None, "nothing is so old");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let (_, mut stream) = engine.open("GET", &format!("/events?since=1&until={now}"), &[], b"");
    let mut count = 0;
    while let Some(chunk) = stream.read_chunk().expect("a chunk") {
        let text = String::from_utf8(chunk).expect("UTF-8");
        let line = text.strip_suffix('\n').expect("a line");
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert!(event["time"].is_u64(), "{text}");
        count += 1;
    }
    assert!(count > 200, "{count} events");
}

#[test]
fn a_quiet_build_says_the_images_id_alone() {
    let engine = Engine::start();
    let context = || Context::of("FROM busybox\nRUN echo loud\nENV a=b\n").bytes();
    let quiet = objects(&engine, "/build?q=1&t=quiet", &context());
    let id = engine.get("/images/quiet/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    assert_eq!(quiet, [serde_json::json!({ "stream": format!("{id}\n") })]);
    let failed =
        objects(&engine, "/build?q=1", &Context::of("FROM busybox\nRUN echo loud; exit 4\n").bytes());
    let said: String = failed.iter().filter_map(|object| object["stream"].as_str()).collect();
    assert!(said.starts_with("Step 0 : FROM busybox\n") && said.contains("\nloud\n"), "{said}");
    let last = failed.last().expect("an object");
    assert_eq!(last["error"], "The command '/bin/sh -c echo loud; exit 4' returned a non-zero code: 4");
    engine.forget_builds();
}

#[test]
fn parameters_of_a_build_take_effect() {
    let engine = Engine::start();
    let limits = r#"[{"Name":"nofile","Soft":77,"Hard":88}]"#;
    let parameters = [
        ("ulimits", limits),
        ("extrahosts", "some.host:10.1.2.3"),
        ("shmsize", "1048576"),
        ("labels", r#"{"made":"here"}"#),
        ("networkmode", "none"),
        ("securityopt", "no-new-privileges"),
        ("isolation", "default"),
        ("platform", "linux/amd64"),
        ("unknown", "{"),
        ("t", "with"),
    ];
    let text = "FROM busybox\nRUN ulimit -n; grep some.host /etc/hosts; df -k /dev/shm; \
                ls /sys/class/net; grep NoNewPrivs /proc/self/status\n";
    let headers = [("X-Registry-Config", "rubbish")];
    let built = engine.build_with(&parameters, &headers, &Context::of(text).bytes());
    let _ = built.image();
    let said = &built.said;
    assert!(said.contains("77\n") && said.contains("10.1.2.3\tsome.host\n"), "{said}");
    assert!(said.contains(" 1024 ") && !said.contains("eth0"), "{said}");
    assert!(said.contains("NoNewPrivs:\t1\n"), "{said}");
    let labels = &engine.get("/images/with/json").expect(200).json()["Config"]["Labels"];
    assert_eq!(labels["made"], "here");
    engine.forget_builds();
}

#[test]
fn parameters_of_a_build_that_cannot_take_effect_are_refused_before_the_first_step() {
    let engine = Engine::start();
    for (name, value, words) in [
        ("memory", "1", "Minimum memory limit allowed is 4MB"),
        ("memory", "many", "memory must be a whole number, not \"many\""),
        ("memswap", "-7", "Invalid memoryswap limit"),
        ("cpushares", "1", "The minimum allowed cpu-shares is 2"),
        ("cpuperiod", "1", "CPU cfs period"),
        ("cpuquota", "1", "CPU cfs quota"),
        ("cpusetcpus", "4095", "Requested CPUs are not available"),
        ("cpusetmems", "x", "Invalid value x for cpuset mems"),
        ("cgroupparent", "../..", "invalid CgroupParent"),
        ("shmsize", "-1", "SHM size"),
        ("ulimits", r#"[{"Name":"bogus"}]"#, "invalid ulimit name bogus"),
        ("ulimits", r#"[{"Name":"nofile","Soft":2,"Hard":1}]"#, "the soft limit 2 is above the hard limit 1"),
        ("extrahosts", "nowhere", "nowhere"),
        ("labels", "{", "labels: it is not valid JSON: it ends too early"),
        ("buildargs", "[]", "buildargs: must be an object, not an array"),
        ("securityopt", "bogus", "Invalid --security-opt: \"bogus\""),
        ("isolation", "hyperv", "isolation is not supported"),
        ("platform", "windows/amd64", "platform is not supported"),
        ("squash", "1", "squash is not supported"),
        ("outputs", r#"[{"Type":"local"}]"#, "outputs is not supported"),
    ] {
        let refused = engine.build(&[(name, value), ("t", "never")], Context::of("FROM busybox\nENV a=b\n"));
        assert_eq!(refused.status, 500, "{name}={value}: {}", refused.said);
        assert!(refused.said.contains(words), "{name}={value}: {}", refused.said);
        let _ = engine.get("/images/never/json").expect(404);
    }
}
