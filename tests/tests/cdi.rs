//! Devices of the Container Device Interface: `HostConfig.DeviceRequests` and `/info`.

use std::fs;
use std::path::PathBuf;

use berth_tests::silent_mount::SilentMount;
use berth_tests::{Engine, merged, sh};
use serde_json::{Value, json};

/// An engine whose specifications are in two directories of a test.
struct Host {
    engine: Engine,
    directories: [PathBuf; 2],
}

impl Host {
    fn start() -> Self {
        let mut engine = Engine::start();
        let directories = ["first", "second"].map(|name| engine.directory().join(name));
        let flags = directories.each_ref().map(|directory| {
            fs::create_dir(directory).expect("a directory");
            format!("--cdi-spec-dir={}", directory.display())
        });
        engine.stop_daemon();
        engine.start_daemon_with_flags(&flags.each_ref().map(String::as_str));
        Self { engine, directories }
    }

    fn write(&self, directory: usize, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.directories[directory].join(name), text).expect("a specification");
    }
}

fn cdi(names: &[&str]) -> Value {
    json!([{ "Driver": "cdi", "DeviceIDs": names }])
}

fn with_devices(script: &str, requests: &Value) -> Value {
    merged(sh(script), json!({ "HostConfig": { "DeviceRequests": requests, "CapAdd": ["SYSLOG"] } }))
}

/// Why a container with these requests does not start.
fn failure(host: &Host, requests: &Value) -> String {
    let today = host.engine.at("1.55");
    let id = today.create(&with_devices("true", requests));
    let message = today.post(&format!("/containers/{id}/start")).expect(400).message();
    today.remove(&id);
    message
}

const YAML: &str = r#"
cdiVersion: "0.6.0"
kind: vendor.com/board
containerEdits:
  env: ["BOARD=yes", "WHICH=none"]
  additionalGids: [4321]
devices:
  - name: "0"
    annotations: {anything: goes}
    containerEdits:
      env: ["WHICH=zero"]
      deviceNodes:
        - {path: /dev/board0, hostPath: /dev/kmsg, permissions: r, fileMode: 0o600}
        - {path: /dev/made, type: c, major: 1, minor: 7, fileMode: 0o640, uid: 7, gid: 8}
  - name: "1"
    containerEdits:
      env: ["ONE=1"]
"#;

#[test]
fn devices_bring_what_their_specifications_say() {
    let host = Host::start();
    host.write(0, "board.yaml", YAML);
    let library = host.directories[0].join("library");
    fs::create_dir(&library).expect("a directory");
    fs::write(library.join("so"), "a library\n").expect("a file");
    fs::copy("/bin/busybox", library.join("busybox")).expect("a program");
    let mount = json!({ "hostPath": library, "containerPath": "/opt/library",
                        "options": ["ro", "nosuid", "nodev", "noexec", "rbind", "rprivate"] });
    let files = json!({ "cdiVersion": "1.0.0", "kind": "vendor.com/files",
                        "devices": [{ "name": "all", "containerEdits": { "mounts": [mount] } }] });
    host.write(1, "files.json", files.to_string());
    let requests = cdi(&["vendor.com/board=0", "vendor.com/files=all", "vendor.com/board=1"]);
    let script = "echo $BOARD $WHICH $ONE; id -G; stat -c '%t:%T %a %u:%g' /dev/board0 /dev/made; (: < /dev/board0) && echo readable; \
                  (: > /dev/board0) 2>&1 | tail -n 1; cat /opt/library/so; (echo > /opt/library/new) 2>&1 | tail -n 1; \
                  (/opt/library/busybox true) 2>&1 | tail -n 1; grep /opt/library /proc/self/mounts | cut -d' ' -f4";
    let today = host.engine.at("1.55");
    let id = today.run(&with_devices(script, &requests));
    assert_eq!(today.wait(&id), 0);
    let (out, _) = today.logs(&id);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["yes zero 1", "0 4321", "1:b 600 0:0"], "{out}");
    assert_eq!(lines[3..5], ["1:7 640 7:8", "readable"], "{out}");
    assert!(lines[5].ends_with("Operation not permitted"), "{out}");
    assert_eq!(lines[6], "a library");
    assert!(lines[7].ends_with("Read-only file system") && lines[8].ends_with("Permission denied"), "{out}");
    let options: Vec<&str> = lines[9].split(',').collect();
    assert!(["ro", "nosuid", "nodev", "noexec"].iter().all(|option| options.contains(option)), "{out}");
    let shown = today.inspect(&id)["HostConfig"]["DeviceRequests"].clone();
    assert_eq!(shown[0]["Driver"], "cdi");
    assert_eq!(shown[0]["DeviceIDs"], requests[0]["DeviceIDs"]);
    assert_eq!((&shown[0]["Count"], &shown[0]["Capabilities"]), (&json!(0), &Value::Null));
}

#[test]
fn the_host_shows_its_devices_and_the_last_directory_wins() {
    let host = Host::start();
    let today = host.engine.at("1.55");
    assert_eq!(today.get("/info").expect(200).json()["DiscoveredDevices"], Value::Null);
    host.write(0, "board.yaml", YAML);
    let other = |variable: &str| {
        json!({ "cdiVersion": "0.5.0", "kind": "vendor.com/board",
                "devices": [{ "name": "1", "containerEdits": { "env": [variable] } }] })
        .to_string()
    };
    host.write(1, "other.json", other("ONE=second"));
    host.write(1, "ignored.txt", "no specification");
    let info = today.get("/info").expect(200).json();
    let device = |name: &str| json!({ "Source": "cdi", "ID": format!("vendor.com/board={name}") });
    assert_eq!(info["DiscoveredDevices"], json!([device("0"), device("1")]));
    assert_eq!(info["CDISpecDirs"], json!(host.directories));
    for (version, field) in [("1.49", "DiscoveredDevices"), ("1.43", "CDISpecDirs")] {
        assert_eq!(host.engine.at(version).get("/info").expect(200).json()[field], Value::Null, "{version}");
    }
    let output = today.output(&with_devices("echo $ONE", &cdi(&["vendor.com/board=1"])));
    assert_eq!(output.stdout, "second\n");
    // A device that two files of one directory name belongs to neither.
    host.write(1, "third.json", other("ONE=third"));
    let message = failure(&host, &cdi(&["vendor.com/board=1"]));
    assert!(message.contains("vendor.com/board=1 is in two files of"), "{message}");
}

/// A specification of one device, x, that changes a container so.
fn with_edits(edits: &Value) -> String {
    json!({ "cdiVersion": "0.8.0", "kind": "vendor.com/bad", "devices": [{ "name": "x", "containerEdits": edits }] })
        .to_string()
}

/// As the specifications of NVIDIA's toolkit have them, of every kind that there is.
#[test]
fn a_device_that_needs_a_hook_is_refused_by_the_hooks_name() {
    let host = Host::start();
    for name in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let hook = json!({ "hookName": name, "path": "/usr/bin/nvidia-cdi-hook",
                           "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib/x86_64-linux-gnu"],
                           "env": ["NVIDIA_CTK_DEBUG=false"] });
        host.write(0, "bad.json", with_edits(&json!({ "hooks": [hook] })));
        let message = failure(&host, &cdi(&["vendor.com/bad=x"]));
        let cause = format!(
            "the device vendor.com/bad=x needs the hook {name} of the program /usr/bin/nvidia-cdi-hook, and hooks are not run"
        );
        assert!(message.contains(&cause), "{message}");
    }
}

#[test]
fn what_cannot_be_given_is_refused_with_its_reason() {
    let host = Host::start();
    let today = host.engine.at("1.55");
    let unresolvable = "CDI device injection failed: unresolvable CDI devices vendor.com/board=9";
    assert!(failure(&host, &cdi(&["vendor.com/board=9"])).ends_with(unresolvable));
    let mount = json!({ "hostPath": "/etc", "containerPath": "/x", "options": ["sideways"] });
    for (edits, cause) in [
        (
            json!({ "intelRdt": { "closID": "a" } }),
            "the device vendor.com/bad=x needs intelRdt, which is not supported",
        ),
        (
            json!({ "mounts": [mount] }),
            "the device vendor.com/bad=x: the mount at /x has the option \"sideways\", which is not known",
        ),
    ] {
        host.write(0, "bad.json", with_edits(&edits));
        let message = failure(&host, &cdi(&["vendor.com/bad=x"]));
        assert!(message.ends_with(&format!("CDI device injection failed: {cause}")), "{message}");
    }
    host.write(0, "bad.json", with_edits(&json!({ "deviceNodes": [{ "path": "/dev/nope" }] })));
    let id = today.create(&with_devices("true", &cdi(&["vendor.com/bad=x"])));
    let message = today.post(&format!("/containers/{id}/start")).expect(500).message();
    assert!(message.contains("\"/dev/nope\": lstat /dev/nope: no such file or directory"), "{message}");
    host.write(0, "bad.json", "{ \"kind\": 1 }");
    let message = failure(&host, &cdi(&["vendor.com/bad=x"]));
    assert!(
        message.contains("unresolvable CDI devices vendor.com/bad=x (") && message.contains("bad.json: "),
        "{message}"
    );
    for (requests, words) in [
        (cdi(&["board"]), "invalid CDI device name \"board\": VENDOR/CLASS=NAME is needed"),
        (
            json!([{ "Driver": "cdi", "Count": 1, "DeviceIDs": ["vendor.com/board=0"] }]),
            "cannot set both Count and DeviceIDs on device request",
        ),
    ] {
        let answer = today.post_json("/containers/create", &with_devices("true", &requests)).expect(400);
        assert_eq!(answer.message(), words);
    }
}

#[test]
fn requests_for_gpus_mean_devices_of_their_vendor() {
    let host = Host::start();
    let gpus = |count: i64| json!([{ "Driver": "", "Count": count, "Capabilities": [["gpu"]] }]);
    let message = failure(&host, &gpus(-1));
    assert!(message.ends_with("could not select device driver \"\" with capabilities: [[gpu]]"), "{message}");
    let device =
        |name: &str| json!({ "name": name, "containerEdits": { "env": [format!("GPU_{name}=there")] } });
    let two =
        json!({ "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device("0"), device("1")] });
    host.write(0, "nvidia.json", two.to_string());
    let today = host.engine.at("1.55");
    let seen = |requests: &Value| {
        today.output(&with_devices("env | grep ^GPU | sort | cut -d= -f1", requests)).stdout
    };
    assert_eq!(seen(&gpus(-1)), "GPU_0\nGPU_1\n");
    assert_eq!(seen(&gpus(1)), "GPU_0\n");
    let second = json!([{ "Driver": "nvidia", "DeviceIDs": ["1"], "Capabilities": [["gpu", "utility"]] }]);
    assert_eq!(seen(&second), "GPU_1\n");
    let message = failure(&host, &gpus(3));
    assert!(
        message.ends_with("3 devices of the kind nvidia.com/gpu are asked for, there are 2"),
        "{message}"
    );
}

#[test]
fn specifications_that_do_not_answer_hold_up_none_but_those_that_need_them() {
    // More than the daemon has threads for the requests of all.
    const COUNT: usize = 6;
    let mut silent = SilentMount::new("silent-cdi");
    let engine = &Engine::start_with_flags(&[&format!("--cdi-spec-dir={}", silent.path().display())]);
    let create = |_| engine.at("1.55").create(&with_devices("true", &cdi(&["vendor.com/board=one"])));
    let ids: Vec<String> = (0..COUNT).map(create).collect();
    std::thread::scope(|scope| {
        let starts: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(move || engine.at("1.55").post(&format!("/containers/{id}/start"))))
            .collect();
        silent.await_looks(COUNT);
        let _ = engine.get("/version").expect(200);
        let infos: Vec<_> = (0..COUNT).map(|_| scope.spawn(move || engine.at("1.55").get("/info"))).collect();
        silent.await_looks(COUNT);
        let _ = engine.get("/version").expect(200);
        drop(silent);
        for start in starts {
            let message = start.join().expect("a client").expect(400).message();
            assert!(message.contains("vendor.com/board=one"), "{message}");
        }
        for info in infos {
            let _ = info.join().expect("a client").expect(200);
        }
    });
    ids.iter().for_each(|id| engine.remove(id));
}
