//! Pods in a network of CNI's plugins: a script that makes a pair of interfaces, and records its commands.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use berth_tests::cri::Cri;
use berth_tests::{Engine, wait};
use cri_messages::runtime::{StatusRequest, StatusResponse};
use cri_messages::sandbox::{
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxConfig, PodSandboxState,
    PortMapping, RunPodSandboxRequest, StopPodSandboxRequest, StopPodSandboxResponse,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tonic::Code;

use crate::FLAG;
use crate::pod::{create, exec, logs, pod, remove, run, shell, started, status, stop};

/// It gives every pod the same address: tests have one pod at a time. If a file requests it, it fails or waits.
const PLUGIN: &str = r#"#!/bin/sh
here=$(dirname "$0"); request=$(cat)
printf '%s\n' "{\"command\": \"$CNI_COMMAND\", \"container\": \"$CNI_CONTAINERID\", \"interface\": \"$CNI_IFNAME\", \
\"namespace\": \"$CNI_NETNS\", \"opened\": \"$(readlink "$CNI_NETNS")\", \"arguments\": \"$CNI_ARGS\", \"request\": $request}" >> "$here/asked"
[ "$CNI_COMMAND" = "$(cat "$here/waits" 2> /dev/null)" ] && { echo $$ > "$here/waiting"; while [ -s "$here/waits" ]; do sleep 0.1; done; exit 1; }
[ "$CNI_COMMAND" = "$(cat "$here/fails" 2> /dev/null)" ] && { echo '{"code": 11, "msg": "the plugin is full"}'; exit 1; }
case $CNI_COMMAND in
ADD)
    set -e
    # It holds this plugin's output for as long as the file is there.
    [ -e "$here/leaves" ] && { while [ -e "$here/leaves" ]; do sleep 0.1; done & }
    [ -s "$here/writes" ] && { cat "$here/writes"; exit 0; }
    nsenter --net="$CNI_NETNS" ip link add eth0 type veth peer name peer
    nsenter --net="$CNI_NETNS" ip address add 10.77.0.2/24 dev eth0
    nsenter --net="$CNI_NETNS" ip link set eth0 up
    echo "{\"cniVersion\": \"1.1.0\", \"interfaces\": [{\"name\": \"eth0\", \"sandbox\": \"$CNI_NETNS\"}],
        \"ips\": [{\"address\": \"10.77.0.2/24\", \"interface\": 0}, {\"address\": \"fd00:77::2/64\", \"interface\": 0}]}" ;;
DEL)
    [ -z "$CNI_NETNS" ] || nsenter --net="$CNI_NETNS" ip link delete eth0 2> /dev/null || : ;;
esac
"#;

/// The host's directories of networks and plugins.
struct Host {
    directory: PathBuf,
    /// Bytes of the plugin's notes that were read already: the file is never taken away from a plugin that writes to it.
    read: Cell<usize>,
}

impl Host {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("networks-of-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("networks")).expect("a directory");
        fs::create_dir_all(directory.join("plugins")).expect("a directory");
        berth_tests::install(&directory.join("plugins/of-tests"), PLUGIN.as_bytes());
        Self { directory, read: Cell::new(0) }
    }

    /// Starts an engine that looks there.
    fn engine(&self) -> Engine {
        let flag = |flag: &str, part: &str| format!("{flag}={}", self.directory.join(part).display());
        Engine::start_with_flags(&[
            FLAG,
            &flag("--cni-networks", "networks"),
            &flag("--cni-plugins", "plugins"),
        ])
    }

    /// Puts a network there.
    fn configure(&self) {
        let configuration = json!({
            "cniVersion": "1.1.0",
            "name": "of-tests",
            "plugins": [
                { "type": "of-tests", "own": 7, "capabilities": { "portMappings": true, "bandwidth": true } },
            ],
        });
        fs::write(self.directory.join("networks/10.conflist"), configuration.to_string()).expect("a file");
    }

    /// Lets the plugin fail or wait at a command; at none where it is empty.
    fn let_it(&self, what: &str, command: &str) {
        fs::write(self.directory.join("plugins").join(what), command).expect("a file");
    }

    /// All commands of the plugin since the last call.
    fn asked(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("plugins/asked")).unwrap_or_default();
        let new = &text[self.read.get()..];
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        self.read.set(self.read.get() + whole);
        new[..whole].lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The commands that the plugin was given for attachments since the last time.
    fn commands(&self) -> Vec<String> {
        let word = |asked: &Value| asked["command"].as_str().expect("a command").to_owned();
        self.asked().iter().map(word).filter(|command| command != "STATUS" && command != "GC").collect()
    }

    /// The process of the plugin that waits, once there is one.
    fn waiting(&self) -> Option<u32> {
        let written = fs::read_to_string(self.directory.join("plugins/waiting")).ok()?;
        written.strip_suffix('\n')?.parse().ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn items(cri: &Cri) -> Vec<PodSandbox> {
    let asked = ListPodSandboxRequest { filter: None };
    let answer: ListPodSandboxResponse = cri.call("RuntimeService/ListPodSandbox", asked).expect("a list");
    answer.items
}

fn sandboxes(cri: &Cri) -> usize {
    items(cri).len()
}

/// The condition of the network: whether it is well, and why not.
fn condition(cri: &Cri) -> (bool, String) {
    let asked = StatusRequest { verbose: false };
    let answer: StatusResponse = cri.call("RuntimeService/Status", asked).expect("a status");
    let conditions = answer.status.expect("a status").conditions;
    let network = conditions.into_iter().find(|condition| condition.r#type == "NetworkReady");
    network.map(|network| (network.status, network.message)).expect("a condition")
}

fn with_port(config: PodSandboxConfig) -> PodSandboxConfig {
    let mapping =
        PortMapping { protocol: 0, container_port: 80, host_port: 8080, host_ip: "127.0.0.1".to_owned() };
    let mut config = PodSandboxConfig { port_mappings: vec![mapping], ..config };
    config.annotations.insert("kubernetes.io/egress-bandwidth".to_owned(), "1M".to_owned());
    config
}

#[test]
fn a_network_of_plugins_takes_over_when_it_appears() {
    let host = Host::new("takeover");
    let engine = host.engine();
    let cri = Cri::of(&engine);
    let own = run(&cri, pod(&engine, "own")).expect("a pod in the engine's own network");
    assert!(status(&cri, &own).expect("a status").network.is_some());
    assert!(host.asked().is_empty(), "no network of plugins is there");
    host.configure();
    let id = run(&cri, with_port(pod(&engine, "plugged"))).expect("a pod");
    let asked = host.asked();
    let [add] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((add["command"].as_str(), add["container"].as_str()), (Some("ADD"), Some(id.as_str())));
    assert_eq!(add["interface"], "eth0");
    let namespace = add["namespace"].as_str().expect("a namespace");
    assert!(namespace.starts_with(&format!("/proc/{}/fd/", engine.daemon_pid())), "{namespace}");
    let arguments = add["arguments"].as_str().expect("arguments");
    let expected = format!(
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=tests;K8S_POD_NAME=plugged;K8S_POD_UID=uid-of-plugged;K8S_POD_INFRA_CONTAINER_ID={id}"
    );
    assert_eq!(arguments, expected);
    let expected = json!({
        "type": "of-tests", "own": 7, "name": "of-tests", "cniVersion": "1.1.0",
        "runtimeConfig": {
            "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1" }],
            "bandwidth": { "egressRate": 1_000_000, "egressBurst": 2_147_483_647 },
        },
    });
    assert_eq!(add["request"], expected);
    let network = status(&cri, &id).expect("a status").network.expect("a network");
    assert_eq!(network.ip, "10.77.0.2");
    assert_eq!(network.additional_ips[0].ip, "fd00:77::2");
    let container = started(&cri, &id, shell("main", "sleep 1000"));
    let (interfaces, _, _) = exec(&cri, &container, "cat /proc/net/dev");
    assert!(interfaces.contains("eth0"), "{interfaces}");
    stop(&cri, &id);
    let asked = host.asked();
    let [del] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(del["command"], "DEL");
    assert_eq!(del["request"]["prevResult"]["ips"][0]["address"], "10.77.0.2/24");
    assert!(del["namespace"].as_str().is_some_and(|path| path.starts_with("/proc/")), "{del}");
    assert!(status(&cri, &id).expect("a status").network.is_none());
    // What is deleted is deleted once.
    stop(&cri, &id);
    remove(&cri, &id);
    remove(&cri, &own);
    assert!(host.commands().is_empty());
    let _ = fs::remove_dir_all(logs(&engine));
}

#[test]
fn a_pod_that_a_plugin_refuses_is_undone_and_one_that_is_not_deleted_stays() {
    let host = Host::new("refusal");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    assert_eq!(condition(&cri), (true, String::new()));
    host.let_it("fails", "STATUS");
    let (is_well, why) = condition(&cri);
    assert!(!is_well && why.contains("the plugin is full"), "{why}");
    host.let_it("fails", "ADD");
    let refusal = run(&cri, pod(&engine, "refused")).expect_err("a failure of the plugin");
    assert_eq!(refusal.code(), Code::Internal);
    assert!(refusal.message().contains("the plugin is full"), "{refusal}");
    assert_eq!(host.commands(), ["ADD", "DEL"]);
    assert_eq!(sandboxes(&cri), 0);
    host.let_it("fails", "DEL");
    let id = run(&cri, pod(&engine, "pod")).expect("a pod");
    let asked = StopPodSandboxRequest { pod_sandbox_id: id.clone() };
    let stopped: Result<StopPodSandboxResponse, _> = cri.call("RuntimeService/StopPodSandbox", asked);
    let refusal = stopped.expect_err("a failure of the plugin");
    assert!(refusal.message().contains("the plugin is full"), "{refusal}");
    host.let_it("fails", "");
    remove(&cri, &id);
    assert_eq!(host.commands(), ["ADD", "DEL", "DEL"]);
    fs::write(host.directory.join("networks/00.conf"), "no JSON").expect("a file");
    let (is_well, why) = condition(&cri);
    assert!(!is_well && why.contains("00.conf"), "{why}");
    assert!(run(&cri, pod(&engine, "none")).is_err(), "no pod falls back to another network");
}

#[test]
fn a_pod_needs_a_result_with_an_address() {
    let host = Host::new("results");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    for (written, why) in [
        ("42", "it is no JSON object"),
        ("no JSON", "expected"),
        (r#"{"cniVersion": "7.0.0", "ips": [{"address": "10.77.0.2/24"}]}"#, "version"),
        (r#"{"cniVersion": "1.1.0"}"#, "it has no address of the pod"),
        (r#"{"cniVersion": "1.1.0", "ips": [{"address": "nowhere"}]}"#, "it has no address of the pod"),
    ] {
        host.let_it("writes", written);
        let refusal = run(&cri, pod(&engine, "refused")).expect_err("a result that is none");
        assert!(refusal.message().contains(why), "{written}: {refusal}");
        assert_eq!(host.commands(), ["ADD", "DEL"], "{written}");
        assert_eq!(sandboxes(&cri), 0);
    }
}

#[test]
fn what_a_plugin_leaves_running_is_not_waited_for() {
    let host = Host::new("leaves");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    host.let_it("leaves", "");
    let id = run(&cri, pod(&engine, "pod")).expect("a pod");
    assert_eq!(status(&cri, &id).expect("a status").network.expect("a network").ip, "10.77.0.2");
    fs::remove_file(host.directory.join("plugins/leaves")).expect("removed");
    remove(&cri, &id);
}

#[test]
fn a_sandbox_is_not_ready_before_its_network_is_there() {
    let host = Host::new("hanging");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    host.let_it("waits", "ADD");
    let asked = RunPodSandboxRequest { config: Some(pod(&engine, "pod")), runtime_handler: String::new() };
    let (id, plugin) = cri.leave("RuntimeService/RunPodSandbox", asked, || {
        let plugin = wait::until("the plugin", || host.waiting());
        let other = Cri::of(&engine);
        let list = items(&other);
        let [sandbox] = &list[..] else { panic!("{list:?}") };
        assert_eq!(sandbox.state(), PodSandboxState::Notready);
        let shown = status(&other, &sandbox.id).expect("a status");
        assert_eq!((shown.state(), shown.network), (PodSandboxState::Notready, None));
        let refused = create(&other, &sandbox.id, shell("main", "true")).expect_err("it is not ready");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        let refused = run(&other, pod(&engine, "pod")).expect_err("the same pod is being run");
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
        (sandbox.id.clone(), plugin)
    });
    wait::until("the plugin's end", || (!berth_tests::host::runs(plugin)).then_some(()));
    wait::until("the sandbox's end", || status(&cri, &id).is_err().then_some(()));
    assert_eq!(host.commands(), ["ADD", "DEL"]);
    host.let_it("waits", "");
    let again = run(&cri, pod(&engine, "pod")).expect("a pod");
    assert_eq!(items(&cri)[0].state(), PodSandboxState::Ready);
    let refused = run(&cri, pod(&engine, "pod")).expect_err("the same pod is there");
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    remove(&cri, &again);
}

#[test]
fn a_sandbox_that_is_being_connected_can_be_stopped() {
    let host = Host::new("stopped");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    host.let_it("waits", "ADD");
    let (config, connection) = (pod(&engine, "pod"), Cri::of(&engine));
    let running = std::thread::spawn(move || run(&connection, config));
    let plugin = wait::until("the plugin", || host.waiting());
    let id = items(&cri)[0].id.clone();
    stop(&cri, &id);
    assert!(!berth_tests::host::runs(plugin), "the plugin runs on");
    let _ = running.join().expect("a thread").expect_err("it was stopped");
    assert_eq!(sandboxes(&cri), 0);
    assert_eq!(host.commands(), ["ADD", "DEL"]);
}

#[test]
fn a_pod_is_deleted_in_the_namespace_in_which_it_was_added() {
    let host = Host::new("namespaces");
    host.configure();
    let engine = host.engine();
    let cri = Cri::of(&engine);
    let id = run(&cri, pod(&engine, "pod")).expect("a pod");
    stop(&cri, &id);
    let asked = host.asked();
    let opened = |command: &str| {
        let asked = asked.iter().find(|one| one["command"] == command).expect("the command");
        asked["opened"].as_str().expect("a text").to_owned()
    };
    assert!(opened("ADD").starts_with("net:["), "{}", opened("ADD"));
    assert_eq!(opened("DEL"), opened("ADD"));
    remove(&cri, &id);
}

#[test]
fn pods_are_deleted_from_their_network_after_a_crash() {
    let host = Host::new("crash");
    host.configure();
    let mut engine = host.engine();
    let cri = Cri::of(&engine);
    let survivor = run(&cri, pod(&engine, "survivor")).expect("a pod");
    let others = engine.shims();
    let killed = run(&cri, pod(&engine, "killed")).expect("a pod");
    let shim: Vec<u32> = engine.shims().difference(&others).copied().collect();
    host.let_it("waits", "ADD");
    let (config, connection) = (pod(&engine, "half-made"), Cri::of(&engine));
    let running = std::thread::spawn(move || run(&connection, config));
    let plugin = wait::until("the plugin", || host.waiting());
    engine.kill_daemon();
    // It cannot add what the next daemon has deleted.
    wait::until("the plugin's end", || (!berth_tests::host::runs(plugin)).then_some(()));
    let _ = running.join().expect("a thread").expect_err("the daemon is gone");
    host.let_it("waits", "");
    // As a daemon leaves it that dies while it saves one.
    let unfinished = engine.data_root().join("pod-networks/half.new");
    fs::write(&unfinished, "{").expect("a file");
    for pid in shim {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        kill_process(pid, Signal::KILL).expect("killed");
    }
    let before = host.asked();
    let half_made =
        before.last().expect("the one that waits")["container"].as_str().expect("an id").to_owned();
    engine.start_daemon();
    let cri = Cri::of(&engine);
    let mut asked = Vec::new();
    wait::until("the garbage's collection", || {
        asked.extend(host.asked());
        asked.iter().any(|one| one["command"] == "GC").then_some(())
    });
    let of = |command: &str| -> Vec<&str> {
        let wanted = asked.iter().filter(|one| one["command"] == command);
        wanted.filter_map(|one| one["container"].as_str()).collect()
    };
    let mut deleted = of("DEL");
    deleted.sort_unstable();
    let mut expected = [half_made.as_str(), killed.as_str()];
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert_eq!(of("CHECK"), [survivor.as_str()]);
    let check = asked.iter().find(|one| one["command"] == "CHECK").expect("CHECK");
    assert_eq!(check["request"]["prevResult"]["interfaces"][0]["sandbox"], check["namespace"]);
    let collected = asked.iter().find(|one| one["command"] == "GC").expect("GC");
    assert_eq!(
        collected["request"]["cni.dev/valid-attachments"],
        json!([{ "containerID": survivor, "ifname": "eth0" }])
    );
    assert!(!unfinished.exists());
    // The one that was half made is gone as a whole; its caller never had its id.
    assert!(status(&cri, &half_made).is_err());
    assert_eq!(status(&cri, &survivor).expect("a status").network.expect("a network").ip, "10.77.0.2");
    for id in [&survivor, &killed] {
        remove(&cri, id);
    }
    let _ = fs::remove_dir_all(logs(&engine));
}
