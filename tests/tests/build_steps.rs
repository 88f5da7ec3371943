//! How builds go: their output as it happens, their containers, limits and names, and clients that leave.

use std::fs;

use berth_tests::registry::{self, Protection, Registry, authorization, config_header};
use berth_tests::{Built, Client, Context, Engine, Service, cgroup, host, query, wait};
use serde_json::{Value, json};

/// Sends a build and leaves its answer on the connection.
fn begin(engine: &Client, parameters: &[(&str, &str)], body: &[u8]) -> berth_tests::http::Connection {
    let mut connection = engine.connect();
    let path = format!("/v1.20/build{}", query(parameters));
    connection.request("POST", &path, &[("Content-Type", "application/x-tar")], body).expect("the request");
    connection
}

/// Every container, running or not.
fn containers(engine: &Engine) -> Vec<Value> {
    let listed = engine.get("/containers/json?all=1").expect(200).json();
    listed.as_array().cloned().unwrap_or_default()
}

/// Waits until nothing of a build is left but what its finished steps made.
fn nothing_left(engine: &Engine) {
    wait::until("no container and no directory of a build", || {
        (engine.builds_with_files() == 0 && containers(engine).is_empty() && engine.shims().is_empty())
            .then_some(())
    });
}

#[test]
fn output_comes_as_it_happens_and_a_client_that_leaves_ends_the_build() {
    let engine = Engine::start();
    let text =
        "FROM busybox\nCOPY Dockerfile /D\nRUN echo fir''st; echo sec''ond >&2; sleep 600; echo never\n";
    let mut connection = begin(&engine, &[], &Context::of(text).bytes());
    assert_eq!(connection.read_head().expect("a head").status, 200);
    let seen = connection.read_until(b"second").expect("the output so far");
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.contains("{\"stream\":\"first\\n\"}\r\n"), "{seen}");
    assert!(seen.contains("{\"stream\":\"\\u001b[91msecond"), "stderr is coloured: {seen}");
    let running = containers(&engine);
    assert_eq!(running.len(), 1, "{running:?}");
    let pid = engine.pid(running[0]["Id"].as_str().expect("an id"));
    drop(connection);
    wait::until("the step's end", || (!host::runs(pid)).then_some(()));
    nothing_left(&engine);
    assert!(!engine.log().contains("cannot remove"), "{}", engine.log());
    engine.forget_builds();
}

#[test]
fn a_client_that_leaves_ends_every_kind_of_waiting() {
    let engine = Engine::start();
    let web = Service::web(&engine, 8000);
    web.program("stall", "#!/bin/sh\ntouch asked\nexec sleep 600\n");
    let asked = web.root().join("cgi-bin/asked");
    let stall = web.url("cgi-bin/stall/x.git");
    let add = Context::of(&format!("FROM busybox\nADD {} /x\n", web.url("cgi-bin/stall"))).bytes();
    let sent = Context::of("FROM busybox\n").file("f", vec![7; 100_000]).bytes();
    let git = |name: &str| {
        let here = engine.directory().join("data");
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&here)))
            .filter(|entry| {
                fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.starts_with(name))
            })
            .count()
    };
    for (what, parameters, body) in [
        ("ADD", vec![], &add[..]),
        ("remote", vec![("remote", stall.trim_end_matches(".git"))], b""),
        ("git", vec![("remote", stall.as_str())], b""),
    ] {
        let _ = fs::remove_file(&asked);
        let connection = begin(&engine, &parameters, body);
        wait::until(&format!("{what} to wait for the server"), || asked.exists().then_some(()));
        drop(connection);
        nothing_left(&engine);
        wait::until("git's end", || (git("git") == 0).then_some(()));
    }
    // A context that breaks off half way.
    let mut connection = engine.connect();
    let head = format!("POST /v1.20/build HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", sent.len());
    connection.send(head.as_bytes()).expect("the head");
    connection.send(&sent[..sent.len() / 2]).expect("half of the context");
    wait::until("the build's directory", || (engine.builds_with_files() > 0).then_some(()));
    drop(connection);
    nothing_left(&engine);
    // One that waits for the step of another build.
    let slow = Context::of("FROM busybox\nRUN echo slow; sleep 600\n").bytes();
    let mut first = begin(&engine, &[], &slow);
    let _ = first.read_until(b"slow\\n\"}").expect("the step's output");
    let mut second = begin(&engine, &[], &slow);
    let _ = second.read_until(b"Step 1").expect("the second build's step");
    drop(second);
    drop(first);
    nothing_left(&engine);
    engine.forget_builds();
}

#[test]
fn failing_steps_leave_their_container_unless_told_otherwise() {
    let engine = Engine::start();
    let context = |mark: &str| {
        Context::of(&format!("FROM busybox\nRUN echo {mark} > /f\nRUN echo out; echo {mark} > /g; exit 7\n"))
    };
    for (parameters, good, want) in [
        (vec![], false, 1),
        (vec![("rm", "1")], false, 1),
        (vec![("rm", "0")], false, 2),
        (vec![("forcerm", "1")], false, 0),
        (vec![("rm", "0"), ("forcerm", "1")], false, 0),
        (vec![], true, 0),
        (vec![("rm", "0")], true, 2),
    ] {
        let mark = format!("{}{good}", query(&parameters).replace(['?', '&'], ""));
        let context = if good {
            Context::of(&format!("FROM busybox\nRUN echo {mark}\nRUN echo 2\n"))
        } else {
            context(&mark)
        };
        let built = engine.build(&parameters, context);
        if good {
            let _ = built.image();
        } else {
            let command = format!("/bin/sh -c echo out; echo {mark} > /g; exit 7");
            assert_eq!(built.failure(), format!("The command '{command}' returned a non-zero code: 7"));
            assert_eq!((built.code, built.status), (Some(7), 200));
        }
        wait::until(&format!("{want} containers for {parameters:?}"), || {
            (containers(&engine).len() == want).then_some(())
        });
        let removed = built.said.matches("Removing intermediate container ").count();
        assert_eq!(removed, 2 - want, "{parameters:?}: {}", built.said);
        if !good && want > 0 {
            let newest = containers(&engine)[0]["Id"].as_str().expect("an id").to_owned();
            assert_eq!(engine.state(&newest, "ExitCode"), 7);
            let look = engine.post(&format!("/commit?container={newest}&repo=look")).expect(201);
            assert!(look.json()["Id"].is_string());
            assert_eq!(engine.output_of("look", "cat /f /g"), format!("{mark}\n{mark}\n"));
        }
        engine.forget_builds();
    }
}

#[test]
fn quiet_builds_hide_what_loud_ones_say() {
    let engine = Engine::start();
    let text = "FROM busybox\nRUN echo output; echo errors >&2\nENV a=b\n";
    let quiet = engine.build(&[("q", "1"), ("t", "quiet")], Context::of(text));
    let id = engine.get("/images/quiet/json").expect(200).json()["Id"].as_str().map(str::to_owned);
    assert_eq!(Some(quiet.said.trim_end()), id.as_deref());
    let loud = engine.build(&[("nocache", "1")], Context::of(text));
    assert!(loud.said.contains("\noutput\n\u{1b}[91merrors\n\u{1b}[0m ---> "), "{}", loud.said);
    engine.forget_builds();
}

#[test]
fn names_and_labels_are_given_and_bad_ones_refused_first() {
    let engine = Engine::start();
    let text = "FROM busybox\nLABEL own=1\nRUN echo x > /x\n";
    let parameters = [
        ("t", "one"),
        ("t", "two:v2"),
        ("t", "127.0.0.1:5000/three"),
        ("labels", r#"{"a":"$HOME 'q'","own":"2"}"#),
    ];
    let image = engine.build(&parameters, Context::of(text)).image();
    for name in ["one:latest", "two:v2", "127.0.0.1:5000/three:latest"] {
        let inspected = engine.get(&format!("/images/{name}/json")).expect(200).json();
        assert!(inspected["Id"].as_str().is_some_and(|id| id.starts_with(&image)), "{name}");
        assert_eq!(inspected["Config"]["Labels"], json!({ "a": "$HOME 'q'", "own": "2" }));
    }
    let moved = engine.build(&[("t", "one")], Context::of("FROM busybox\nLABEL moved=1\n")).image();
    assert!(
        engine.get("/images/one/json").expect(200).json()["Id"]
            .as_str()
            .is_some_and(|id| id.starts_with(&moved))
    );
    let digest = format!("x@sha256:{}", "0".repeat(64));
    for name in ["Bad", "a:b:c", "-x", "x//y", "name:bad tag", "scratch", &digest] {
        let built =
            engine.build(&[("t", "fine"), ("t", name)], Context::of("FROM busybox\nRUN echo never\n"));
        assert_eq!(built.status, 500, "{name}: {}", built.said);
        assert!(!built.said.contains("Step"), "{name}: {}", built.said);
        let _ = engine.get("/images/fine/json").expect(404);
    }
    engine.forget_builds();
}

#[test]
fn limits_hold_in_the_steps() {
    let engine = Engine::start();
    let parameters = [
        ("memory", "33554432"),
        ("memswap", "33554432"),
        ("cpushares", "512"),
        ("cpuperiod", "50000"),
        ("cpuquota", "25000"),
        ("cpusetcpus", "0"),
        ("cgroupparent", "/berth-build-parent"),
    ];
    let text = "FROM busybox\nRUN grep Cpus_allowed_list /proc/self/status; echo up; sleep 600\n";
    let mut connection = begin(&engine, &parameters, &Context::of(text).bytes());
    let seen = connection.read_until(b"up\\n").expect("the step");
    assert!(
        String::from_utf8_lossy(&seen).contains("Cpus_allowed_list:\\t0\\n"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
    let pid = engine.pid(containers(&engine)[0]["Id"].as_str().expect("an id"));
    assert_eq!(cgroup::read(pid, "memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    assert!(cgroup::directory(pid, "memory").to_string_lossy().contains("/berth-build-parent/"));
    if cgroup::is_unified() {
        assert_eq!(cgroup::read(pid, "cpu", "", "cpu.max"), "25000 50000");
    } else {
        assert_eq!(cgroup::read(pid, "cpu", "cpu.shares", ""), "512");
        assert_eq!(cgroup::read(pid, "cpu", "cpu.cfs_quota_us", ""), "25000");
        assert_eq!(cgroup::read(pid, "cpu", "cpu.cfs_period_us", ""), "50000");
    }
    drop(connection);
    nothing_left(&engine);
    let greedy = Context::of(
        "FROM busybox\nRUN [\"dd\", \"if=/dev/zero\", \"of=/dev/null\", \"bs=80M\", \"count=1\"]\n",
    );
    let killed = engine.build(&[("memory", "16777216"), ("memswap", "16777216"), ("forcerm", "1")], greedy);
    assert_eq!(killed.code, Some(137), "{}", killed.said);
    for (name, value, want) in [
        ("memory", "1000", "Minimum memory limit allowed is 4MB"),
        ("cpusetcpus", "x", "Invalid value x for cpuset cpus"),
        ("memory", "lots", "memory"),
    ] {
        let built =
            engine.build(&[(name, value), ("forcerm", "1")], Context::of("FROM busybox\nRUN echo never\n"));
        assert!(built.failure().contains(want), "{name}={value}: {}", built.failure());
        assert!(!built.said.contains("\nnever"), "{name}={value}: {}", built.said);
    }
    engine.forget_builds();
    let _ = fs::remove_dir("/sys/fs/cgroup/memory/berth-build-parent");
}

#[test]
fn what_fails_says_which_command_and_why() {
    let engine = Engine::start();
    for (rest, code, want) in [
        ("RUN nosuch", Some(127), "The command '/bin/sh -c nosuch' returned a non-zero code: 127"),
        (
            "RUN [\"sh\", \"-c\", \"exit 3\"]",
            Some(3),
            "The command 'sh -c exit 3' returned a non-zero code: 3",
        ),
        (
            "RUN [\"/nosuch\"]",
            None,
            "[8] System error: exec: \"/nosuch\": stat /nosuch: no such file or directory",
        ),
        ("USER nobodyx\nRUN id", None, "[8] System error: Unable to find user nobodyx"),
        ("RUN echo fine\nFOO x", None, "Unknown instruction: FOO"),
    ] {
        let built = engine.build(&[("forcerm", "1")], Context::of(&format!("FROM busybox\n{rest}\n")));
        assert_eq!((built.failure(), built.code), (want, code), "{rest}");
    }
    let empty = engine.build(&[("forcerm", "1")], Context::of("FROM scratch\nRUN true\n"));
    assert!(empty.error.is_some() && !empty.said.contains("Successfully"), "{}", empty.said);
    engine.forget_builds();
}

#[test]
fn private_images_are_pulled_with_the_requests_credentials() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    let name = "127.0.0.1:5000/private";
    let push = |text: &str| {
        let _ = engine.build(&[("t", &format!("{name}:v1"))], Context::of(text)).image();
        let _ = registry::push(&engine, name, "v1", Some(&authorization("joe", "secret"))).succeeded();
    };
    push("FROM busybox\nCMD echo first\n");
    engine.forget_builds();
    let from = |parameters: &[(&str, &str)], config: &str| -> Built {
        let body = Context::of(&format!("FROM {name}:v1\nLABEL built=1\n")).bytes();
        engine.build_with(parameters, &[("X-Registry-Config", config)], &body)
    };
    let good = config_header("127.0.0.1:5000", "joe", "secret");
    for bad in [String::new(), config_header("127.0.0.1:5000", "joe", "wrong")] {
        let built = from(&[], &bad);
        assert!(!built.failure().is_empty() && !built.said.contains("Step 1"), "{}", built.said);
    }
    assert_eq!(from(&[], "!!!").failure(), from(&[], "").failure(), "a malformed header counts as none");
    let output = |built: &Built| engine.output(&json!({ "Image": built.image() })).stdout;
    assert_eq!(output(&from(&[], &good)), "first\n");
    let here = engine.get(&format!("/images/{name}:v1/json")).expect(200).json()["Id"].clone();
    push("FROM busybox\nCMD echo second\n");
    let retag = query(&[("repo", name), ("tag", "v1"), ("force", "1")]);
    let _ = engine.post(&format!("/images/{}/tag{retag}", here.as_str().expect("an id"))).expect(201);
    assert_eq!(output(&from(&[], &good)), "first\n", "what is here is used");
    assert_eq!(output(&from(&[("pull", "1")], &good)), "second\n", "pull asks the registry");
    let digest = engine.build_with(
        &[],
        &[],
        &Context::of(&format!("FROM {name}@sha256:{}\n", "0".repeat(64))).bytes(),
    );
    assert!(digest.error.is_some(), "{}", digest.said);
    engine.forget_builds();
    // Its layer is found by the registry's blob as long as it is here.
    let _ = engine.delete("/images/busybox?force=1").expect(200);
}
