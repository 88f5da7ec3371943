//! Devices of containers, and their score for the kernel's choice when memory runs out.

use std::fs;

use berth_tests::Engine;
use berth_tests::cri::Cri;
use cri_messages::container::{CDIDevice, ContainerConfig, LinuxContainerConfig};
use cri_messages::security::LinuxContainerResources;

use crate::pod::{create, exec, logs, output, pod, remove, run, shell, start, started};
use crate::{FLAG, engine};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn devices_that_files_of_the_host_describe_are_given_by_their_names() {
    let directory = std::env::temp_dir().join(format!("devices-of-pods-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let described = r#"{ "cdiVersion": "0.6.0", "kind": "vendor.com/board", "devices": [
        { "name": "one", "containerEdits": { "env": ["BOARD=one"], "deviceNodes": [{ "path": "/dev/board", "hostPath": "/dev/zero" }] } }
    ] }"#;
    fs::write(directory.join("board.json"), described).expect("a file");
    let engine = Engine::start_with_flags(&[FLAG, &format!("--cdi-spec-dir={}", directory.display())]);
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let with = |name: &str| {
        let cdi_devices = vec![CDIDevice { name: name.to_owned() }];
        ContainerConfig { cdi_devices, ..shell("device", "echo $BOARD; test -c /dev/board && echo there") }
    };
    assert_eq!(output(&cri, &sandbox, with("vendor.com/board=one")), "one\nthere");
    let lasting = ContainerConfig { command: words(&["sleep", "1000"]), ..with("vendor.com/board=one") };
    let id = started(&cri, &sandbox, lasting);
    // A command has the variables of its container: those of devices, and the pod's name.
    assert_eq!(exec(&cri, &id, "echo $BOARD $HOSTNAME").0, "one pod-host\n");
    let unknown = create(&cri, &sandbox, with("vendor.com/board=two"));
    assert!(unknown.and_then(|id| start(&cri, &id)).is_err());
    remove(&cri, &sandbox);
    let _ = fs::remove_dir_all(logs(&engine));
    fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn a_score_that_the_daemon_may_not_give_is_its_own() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let scored = |name: &str, score| {
        let resources =
            LinuxContainerResources { oom_score_adj: score, ..LinuxContainerResources::default() };
        let linux = LinuxContainerConfig { resources: Some(resources), ..LinuxContainerConfig::default() };
        let config = shell(name, "cat /proc/self/oom_score_adj");
        output(&cri, &sandbox, ContainerConfig { linux: Some(linux), ..config })
    };
    assert_eq!(scored("high", 900), "900");
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("a score");
    let sets = rustix::thread::capabilities(None).expect("capabilities");
    let may_lower = sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
    assert_eq!(scored("low", -997), if may_lower { "-997" } else { own.trim() });
    remove(&cri, &sandbox);
    let _ = fs::remove_dir_all(logs(&engine));
}
