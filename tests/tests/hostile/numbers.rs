//! Requests for more than anyone needs: refused in words before anything is taken, and others get theirs.

use std::fs;
use std::process::Command;

use berth_tests::registry::tar_of;
use berth_tests::tarball::TAR;
use berth_tests::{Context, host, merged, sh};
use serde_json::{Map, Value, json};

use super::Target;

/// Descriptors that the daemon may have, and ports that it publishes with them.
const DESCRIPTORS: usize = 4096;
const PORTS: usize = DESCRIPTORS / 4 * 3;

fn set_of(names: impl Iterator<Item = String>) -> Value {
    Value::Object(names.map(|name| (name, json!({}))).collect::<Map<_, _>>())
}

#[test]
fn ports_do_not_take_all_descriptors() {
    let engine = Target::start();
    let limit = format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}");
    let pid = engine.daemon_pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("prlimit").success());
    let before = host::descriptors_of(engine.daemon_pid());
    let publishing = |ports: &Value| {
        merged(sh("sleep 600"), json!({ "ExposedPorts": ports, "HostConfig": { "PublishAllPorts": true } }))
    };
    let greedy = engine.create(&publishing(&set_of((1..=65535).map(|port| format!("{port}/tcp")))));
    let text = engine.post(&format!("/containers/{greedy}/start")).expect(500).text();
    let want = format!("cannot publish 65535 ports: 0 are published, and {PORTS} can be");
    assert!(text.contains(&want), "{text}");
    assert!(host::held_ports_of(engine.daemon_pid()).is_empty());
    assert!(host::descriptors_of(engine.daemon_pid()) < before + 16, "what was begun is undone");
    let modest = engine.run(&publishing(&json!({ "80/tcp": {} })));
    let published = &engine.inspect(&modest)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"];
    assert!(published.is_string(), "{published}");
    for id in [greedy, modest] {
        engine.remove(&id);
    }
}

#[test]
fn volumes_have_a_number() {
    let engine = Target::start();
    let body =
        merged(sh("true"), json!({ "Volumes": set_of((0..20_000).map(|number| format!("/v/{number}"))) }));
    let text = engine.post_json("/containers/create", &body).expect(500).text();
    assert_eq!(text, "20000 mounts are asked for, a container has at most 1000\n");
    assert_eq!(fs::read_dir(engine.data_root().join("volumes")).expect("the volumes").count(), 0);
    assert_eq!(fs::read_dir(engine.data_root().join("containers")).expect("the containers").count(), 0);
}

/// A tarball of so many images, each with a label of so many bytes.
fn labelled(images: usize, bytes: usize) -> Vec<u8> {
    let config = |number: usize| {
        let labels = json!({ format!("n{number}"): "x".repeat(bytes) });
        json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
                "rootfs": { "type": "layers", "diff_ids": [] } })
        .to_string()
    };
    let name = |number: usize| format!("{number}.json");
    let entry =
        |number| json!({ "Config": name(number), "RepoTags": [format!("n{number}:x")], "Layers": [] });
    let manifest = Value::Array((0..images).map(entry).collect()).to_string();
    let configs: Vec<(String, String)> = (0..images).map(|number| (name(number), config(number))).collect();
    let files = configs.iter().map(|(name, config)| (name.as_str(), config.as_bytes()));
    tar_of(&files.chain([("manifest.json", manifest.as_bytes())]).collect::<Vec<_>>())
}

#[test]
fn labels_have_a_size() {
    let engine = Target::start();
    let load = |images, bytes| engine.call("POST", "/images/load", &TAR, &labelled(images, bytes)).text();
    assert_eq!(load(1, 300_000), "the image has more than 262144 bytes of labels\n");
    assert_eq!(load(140, 250_000), "the store has more than 33554432 bytes of labels\n");
    let context = Context::of(&format!("FROM scratch\nLABEL a={0}\nLABEL b={0}\n", "x".repeat(140_000)));
    assert_eq!(engine.build(&[], context).failure(), "the image has more than 262144 bytes of labels");
    engine.forget_builds();
}

#[test]
fn patterns_of_names_have_a_size_and_a_number() {
    let engine = Target::start();
    let id = engine.run(&sh("sleep 600"));
    for path in ["/containers/json", "/networks", "/volumes"] {
        let list = |patterns: &[&str]| {
            let quoted: Vec<String> = patterns.iter().map(|pattern| format!("%22{pattern}%22")).collect();
            engine.at("1.55").get(&format!("{path}?filters=%7B%22name%22%3A%5B{}%5D%7D", quoted.join(",")))
        };
        // It would take megabytes: it matches nothing.
        let _ = list(&["a%7B99999%7D"; 100]).expect(200);
        let text = list(&["a%7B99999%7D"; 600]).expect(400).text();
        assert!(text.contains("a filter has at most 128 patterns of names, not 600"), "{text}");
    }
    engine.remove(&id);
}
