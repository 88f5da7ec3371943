//! `GET /containers/(id)/stats`: every counter as the kernel has it, for one reader or many.

use std::collections::BTreeSet;
use std::fs;

use berth_tests::http::Connection;
use berth_tests::{Client, Engine, cgroup, merged, sh, wait};
use serde_json::{Value, json};

fn once(engine: &Client, id: &str) -> Value {
    engine.get(&format!("/containers/{id}/stats?stream=false")).expect(200).json()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

fn parsed(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

/// A number behind a name, as in `memory.stat`.
fn named(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    parsed(found.unwrap_or_else(|| panic!("no {name} in {text}")))
}

/// The next sample of a stream.
fn next(stream: &mut Connection) -> Value {
    let chunk = stream.read_chunk().expect("a sample").expect("no early end");
    serde_json::from_slice(&chunk).expect("one object a chunk")
}

fn follow(engine: &Engine, id: &str) -> Connection {
    let (head, stream) = engine.open("GET", &format!("/containers/{id}/stats"), &[], b"");
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    stream
}

/// A container that was throttled and is frozen, so that its counters stand still.
fn frozen(engine: &Engine) -> String {
    let limits = json!({ "HostConfig": {
        "Memory": 64 << 20, "CpuPeriod": 20_000, "CpuQuota": 1_000, "PidsLimit": 77,
    } });
    let id = engine.run(&merged(sh("while :; do :; done"), limits));
    wait::until("a period in which it was throttled", || {
        let cpu = once(engine, &id)["cpu_stats"].clone();
        (number(&cpu["throttling_data"]["throttled_periods"]) > 0).then_some(())
    });
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    // The kernel counts the period that has begun to its end.
    wait::until("counters that stand still", || {
        let before = once(engine, &id)["cpu_stats"]["throttling_data"].clone();
        std::thread::sleep(std::time::Duration::from_millis(200));
        (once(engine, &id)["cpu_stats"]["throttling_data"] == before).then_some(())
    });
    id
}

#[test]
fn every_counter_is_the_kernel_s() {
    let engine = Engine::start();
    let id = frozen(&engine);
    let pid = engine.pid(&id);
    let stats = once(&engine, &id);
    let file = |controller, one, two| cgroup::read(pid, controller, one, two);
    let cpu = &stats["cpu_stats"];
    let usage = &cpu["cpu_usage"];
    if cgroup::is_unified() {
        let times = file("cpu", "", "cpu.stat");
        assert_eq!(number(&usage["total_usage"]), named(&times, "usage_usec") * 1000);
        assert_eq!(number(&usage["usage_in_usermode"]), named(&times, "user_usec") * 1000);
        assert_eq!(number(&usage["usage_in_kernelmode"]), named(&times, "system_usec") * 1000);
        assert_eq!(number(&cpu["throttling_data"]["throttled_time"]), named(&times, "throttled_usec") * 1000);
        assert_eq!(usage["percpu_usage"], Value::Null, "version 2 does not count by processor");
    } else {
        assert_eq!(number(&usage["total_usage"]), parsed(&file("cpuacct", "cpuacct.usage", "")));
        let each: Vec<u64> =
            file("cpuacct", "cpuacct.usage_percpu", "").split_whitespace().map(parsed).collect();
        assert_eq!(usage["percpu_usage"], json!(each));
        let times = file("cpuacct", "cpuacct.stat", "");
        assert_eq!(number(&usage["usage_in_usermode"]), named(&times, "user") * 10_000_000);
        assert_eq!(number(&usage["usage_in_kernelmode"]), named(&times, "system") * 10_000_000);
        let throttled = named(&file("cpu", "cpu.stat", ""), "throttled_time");
        assert_eq!(number(&cpu["throttling_data"]["throttled_time"]), throttled);
    }
    assert!(number(&usage["total_usage"]) > 0);
    let periods = file("cpu", "cpu.stat", "cpu.stat");
    assert_eq!(number(&cpu["throttling_data"]["periods"]), named(&periods, "nr_periods"));
    assert_eq!(number(&cpu["throttling_data"]["throttled_periods"]), named(&periods, "nr_throttled"));
    assert!(
        number(&cpu["throttling_data"]["throttled_periods"]) > 0,
        "a twentieth of a processor was allowed: {cpu}"
    );
    let online =
        fs::read_to_string("/proc/stat").expect("it").lines().filter(|line| line.starts_with("cpu")).count();
    assert_eq!(number(&cpu["online_cpus"]) + 1, u64::try_from(online).expect("few"));

    let memory = &stats["memory_stats"];
    assert_eq!(number(&memory["limit"]), 64 << 20);
    // What a processor keeps charged ahead it gives back when another cgroup needs it.
    wait::until("the memory in use", || {
        let usage = number(&once(&engine, &id)["memory_stats"]["usage"]);
        (usage == parsed(&file("memory", "memory.usage_in_bytes", "memory.current"))).then_some(())
    });
    let most = file("memory", "memory.max_usage_in_bytes", "memory.peak");
    assert_eq!(number(&memory["max_usage"]), parsed(&most));
    assert_eq!(number(&memory["failcnt"]), 0);
    // Version 2 adds up what processors have counted only now and then.
    wait::until("the details of its memory", || {
        let counted = once(&engine, &id)["memory_stats"]["stats"].clone();
        let details = file("memory", "memory.stat", "memory.stat");
        let names: Vec<&str> = details.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(counted.as_object().map(serde_json::Map::len), Some(names.len()), "{counted}");
        names.iter().all(|name| number(&counted[*name]) == named(&details, name)).then_some(())
    });
    let processes = parsed(&file("pids", "pids.current", "pids.current"));
    assert_eq!(stats["pids_stats"], json!({ "current": processes, "limit": 77 }));
    assert_eq!((&stats["id"], &stats["name"]), (&json!(id), &engine.inspect(&id)["Name"]));
    block_counters(&stats, pid);
}

/// The counters of block devices: all eight lists, and what the kernel has.
fn block_counters(stats: &Value, pid: u32) {
    let block = stats["blkio_stats"].as_object().expect("an object");
    assert_eq!(block.len(), 8);
    assert!(block.values().all(Value::is_array), "{block:?}");
    let entries = block["io_service_bytes_recursive"].as_array().expect("a list").iter();
    let shown: BTreeSet<_> = entries
        .filter(|entry| entry["op"] == "Read" || entry["op"] == "Write")
        .map(|entry| {
            let device = format!("{}:{}", number(&entry["major"]), number(&entry["minor"]));
            (device, entry["op"].as_str().expect("a word").to_owned(), number(&entry["value"]))
        })
        .collect();
    let directory = cgroup::directory(pid, "blkio");
    let known = if cgroup::is_unified() { "io.stat" } else { "blkio.throttle.io_service_bytes" };
    let text = fs::read_to_string(directory.join(known)).unwrap_or_default();
    let mut kept = BTreeSet::new();
    for (operation, word) in [("Read", "rbytes="), ("Write", "wbytes=")] {
        for line in text.lines() {
            let value = if cgroup::is_unified() {
                line.split_whitespace().find_map(|pair| pair.strip_prefix(word)).map(parsed)
            } else {
                line.split_once(&format!(" {operation} ")).map(|(_, value)| parsed(value))
            };
            let device = line.split(' ').next().unwrap_or_default().to_owned();
            kept.extend(value.map(|value| (device, operation.to_owned(), value)));
        }
    }
    assert_eq!(shown, kept, "{text}");
}

#[test]
fn interfaces_are_added_up_and_told_one_by_one() {
    let engine = Engine::start();
    let id = engine.run(&sh("ping -c 3 -i 0.1 $(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p') > /dev/null; echo sent; sleep 600"));
    wait::until("the packets", || engine.logs(&id).0.contains("sent").then_some(()));
    let pid = engine.pid(&id);
    wait::until("the same numbers as the kernel's", || {
        let stats = once(&engine, &id);
        let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).expect("its interfaces");
        let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).expect("eth0");
        let words: Vec<u64> = line.split_whitespace().map(parsed).collect();
        let network = json!({
            "rx_bytes": words[0], "rx_packets": words[1], "rx_errors": words[2], "rx_dropped": words[3],
            "tx_bytes": words[8], "tx_packets": words[9], "tx_errors": words[10], "tx_dropped": words[11],
        });
        assert!(number(&stats["network"]["tx_packets"]) >= 3, "{stats}");
        (stats["network"] == network && stats["networks"]["eth0"] == network).then_some(())
    });
    for mode in ["none", "host"] {
        let id = engine.run(&merged(sh("sleep 600"), json!({ "HostConfig": { "NetworkMode": mode } })));
        let stats = once(&engine, &id);
        assert_eq!((number(&stats["network"]["rx_bytes"]), &stats["networks"]), (0, &json!({})), "{mode}");
    }
}

#[test]
fn one_answer_compares_two_samples() {
    let engine = Engine::start();
    let id = engine.run(&sh("while :; do :; done"));
    let stats = once(&engine, &id);
    let total = |stats: &Value| number(&stats["cpu_usage"]["total_usage"]);
    assert!(total(&stats["precpu_stats"]) > 0, "a true sample, not the start: {stats}");
    assert!(total(&stats["cpu_stats"]) > total(&stats["precpu_stats"]), "{stats}");
    let passed =
        number(&stats["cpu_stats"]["system_cpu_usage"]) - number(&stats["precpu_stats"]["system_cpu_usage"]);
    let second = number(&stats["cpu_stats"]["online_cpus"]) * 1_000_000_000;
    assert!(passed >= second / 2, "a second lies between them: {stats}");
}

#[test]
fn the_sample_before_is_the_last_one_read_and_at_first_the_start() {
    let engine = Engine::start();
    let id = engine.run(&sh("while :; do :; done"));
    let total = |stats: &Value| number(&stats["cpu_usage"]["total_usage"]);
    let mut stream = follow(&engine, &id);
    let (one, two) = (next(&mut stream), next(&mut stream));
    assert_eq!(total(&one["precpu_stats"]), 0, "at its start it had used nothing");
    let passed =
        number(&one["cpu_stats"]["system_cpu_usage"]) - number(&one["precpu_stats"]["system_cpu_usage"]);
    let age = number(&one["cpu_stats"]["online_cpus"]) * 60_000_000_000;
    assert!(passed < age, "since its start, not the host's: {one}");
    assert_eq!(two["precpu_stats"], one["cpu_stats"]);
    assert_ne!(two["read"], one["read"]);
}

#[test]
fn a_limit_that_was_hit_is_counted() {
    let engine = Engine::start();
    let limits = json!({ "HostConfig": { "Memory": 16 << 20 } });
    let id = engine.run(&merged(sh("tail /dev/zero; echo killed; sleep 600"), limits));
    wait::until("the end of its child", || engine.logs(&id).0.contains("killed").then_some(()));
    let memory = once(&engine, &id)["memory_stats"].clone();
    assert!(number(&memory["failcnt"]) > 0, "{memory}");
    assert!(number(&memory["max_usage"]) > 8 << 20 && number(&memory["usage"]) <= 16 << 20, "{memory}");
}

#[test]
fn one_sampler_serves_all_who_follow_a_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let mut streams: Vec<Connection> = (0..60).map(|_| follow(&engine, &id)).collect();
    let moments =
        |stream: &mut Connection| -> Vec<Value> { (0..3).map(|_| next(stream)["read"].clone()).collect() };
    let mut seen: Vec<String> =
        streams.iter_mut().flat_map(moments).map(|moment| moment.to_string()).collect();
    seen.sort();
    seen.dedup();
    assert!(seen.len() < 60, "each reads for itself: {} readings for 180 samples", seen.len());
    // Some leave, the others do not notice; a new one gets the newest at once.
    streams.truncate(5);
    streams.push(follow(&engine, &id));
    for stream in &mut streams {
        let _ = next(stream);
    }
    engine.remove(&id);
    for stream in &mut streams {
        while stream.read_chunk().expect("the stream's end").is_some() {}
    }
}

#[test]
fn what_does_not_run_uses_nothing() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let nothing = |id: &str| {
        let stats = once(&engine, id);
        assert_eq!(stats["read"], "0001-01-01T00:00:00Z");
        assert_eq!(number(&stats["memory_stats"]["usage"]), 0);
        assert_eq!(number(&stats["cpu_stats"]["cpu_usage"]["total_usage"]), 0);
        assert_eq!(number(&stats["network"]["rx_bytes"]), 0);
        let stream = engine.get(&format!("/containers/{id}/stats")).expect(200);
        assert_eq!(stream.text(), "", "a stream of what does not run ends");
    };
    nothing(&id);
    engine.start(&id);
    let _ = engine.wait(&id);
    nothing(&id);
    for path in ["stats", "stats?stream=0"] {
        let unknown = engine.get(&format!("/containers/nosuch/{path}")).expect(404);
        assert_eq!(unknown.text(), "no such id: nosuch\n");
    }
}

#[test]
fn the_stream_ends_with_the_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let mut stream = follow(&engine, &id);
    assert!(next(&mut stream)["read"].is_string());
    let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    while stream.read_chunk().expect("the stream").is_some() {}
}

#[test]
fn the_interfaces_are_those_of_the_network_that_a_container_is_in() {
    let engine = Engine::start();
    let in_network = |mode: &str| merged(sh("sleep 600"), json!({ "HostConfig": { "NetworkMode": mode } }));
    let interfaces = |id: &str| once(&engine.at("1.40"), id)["networks"].clone();
    let donor = engine.create_named("donor", &in_network("bridge"));
    engine.start(&donor);
    let joined = engine.run(&in_network("container:donor"));
    assert!(interfaces(&donor)["eth0"].is_object() && interfaces(&joined)["eth0"].is_object());
    // It comes back to the namespace that the other one keeps.
    let _ = engine.post("/containers/donor/restart?t=0").expect(204);
    assert!(interfaces(&donor)["eth0"].is_object(), "{}", interfaces(&donor));
    let of_host = engine.create_named("host", &in_network("host"));
    engine.start(&of_host);
    let beside = engine.run(&in_network("container:host"));
    for id in [&of_host, &beside] {
        assert!(interfaces(id).as_object().is_none_or(serde_json::Map::is_empty), "{}", interfaces(id));
    }
}
