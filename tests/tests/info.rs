//! `GET /info`: true in every line.

use std::fs;
use std::path::Path;

use berth_tests::{Engine, Options, cgroup, sh, wait};
use serde_json::{Value, json};

fn info(engine: &Engine) -> Value {
    engine.get("/info").expect(200).json()
}

/// Whether a controller of version 1 has a file.
fn has(controller: &str, file: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(controller).join(file).exists()
}

#[test]
fn the_host_is_told_as_it_is() {
    let engine = Engine::start();
    let info = info(&engine);
    let read = |path: &str| fs::read_to_string(path).expect(path).trim().to_owned();
    assert_eq!(info["KernelVersion"], read("/proc/sys/kernel/osrelease"));
    assert_eq!(info["Name"], read("/proc/sys/kernel/hostname"));
    let release = read("/etc/os-release");
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).expect("a name");
    assert_eq!(info["OperatingSystem"], pretty.trim_matches('"'));
    let processors = read("/proc/stat").lines().filter(|line| line.starts_with("cpu")).count() - 1;
    assert_eq!((&info["NCPU"], &info["OSType"]), (&json!(processors), &json!("linux")));
    assert_eq!((&info["Driver"], &info["ExecutionDriver"]), (&json!("overlay"), &json!("native-0.2")));
    let backing =
        std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(engine.data_root()).output();
    let backing = String::from_utf8(backing.expect("stat(1)").stdout).expect("text");
    let told = info["DriverStatus"][0].clone();
    assert_eq!(told[0], "Backing Filesystem");
    let known = told[1].as_str().expect("text").trim_end_matches("fs");
    assert!(backing.contains(known), "{told} on {backing}");
    if cgroup::is_unified() {
        assert_eq!((&info["CgroupVersion"], &info["OomKillDisable"]), (&json!("2"), &json!(false)));
    } else {
        assert_eq!(info["CgroupVersion"], "1");
        assert_eq!(info["MemoryLimit"], has("memory", "memory.limit_in_bytes"));
        assert_eq!(info["SwapLimit"], has("memory", "memory.memsw.limit_in_bytes"));
        assert_eq!(info["OomKillDisable"], has("memory", "memory.oom_control"));
        assert_eq!(info["CpuCfsPeriod"], has("cpu", "cpu.cfs_period_us"));
        assert_eq!(info["CpuCfsQuota"], has("cpu", "cpu.cfs_quota_us"));
        assert_eq!((&info["CPUSet"], &info["PidsLimit"]), (&json!(true), &json!(has("pids", ""))));
    }
    let inside = |path: &str| {
        let network = format!("--net=/proc/{}/ns/net", engine.network_pid());
        let output =
            std::process::Command::new("nsenter").args([&network, "cat", path]).output().expect("nsenter");
        String::from_utf8_lossy(&output.stdout).trim() == "1"
    };
    assert_eq!(info["IPv4Forwarding"], inside("/proc/sys/net/ipv4/ip_forward"));
    assert_eq!(info["BridgeNfIptables"], inside("/proc/sys/net/bridge/bridge-nf-call-iptables"));
    assert_eq!(info["BridgeNfIp6tables"], inside("/proc/sys/net/bridge/bridge-nf-call-ip6tables"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let date = std::process::Command::new("date")
        .args(["+%s", "-d", info["SystemTime"].as_str().expect("a time")])
        .output()
        .expect("date(1)");
    let told: u64 = String::from_utf8_lossy(&date.stdout).trim().parse().expect("seconds");
    assert!(told.abs_diff(now) < 60, "{told} and {now}");
    let groups: Vec<&str> = info["ID"].as_str().expect("an id").split(':').collect();
    assert!(groups.len() == 12 && groups.iter().all(|group| group.len() == 4), "{groups:?}");
}

#[test]
fn counts_follow_what_happens() {
    let mut engine = Engine::start();
    let numbers = |engine: &Engine| -> Vec<u64> {
        let info = info(engine);
        [
            "Containers",
            "ContainersRunning",
            "ContainersPaused",
            "ContainersStopped",
            "Images",
            "NEventsListener",
        ]
        .map(|name| info[name].as_u64().expect(name))
        .to_vec()
    };
    assert_eq!(numbers(&engine), [0, 0, 0, 0, 1, 0]);
    let (running, paused, created) =
        (engine.run(&sh("sleep 600")), engine.run(&sh("sleep 600")), engine.create(&sh("true")));
    let _ = engine.post(&format!("/containers/{paused}/pause")).expect(204);
    let _ = engine.post("/images/busybox/tag?repo=busybox&tag=other").expect(201);
    let (_, listener) = engine.open("GET", "/events", &[], b"");
    assert_eq!(numbers(&engine), [3, 1, 1, 1, 1, 1], "two names are one image");
    drop(listener);
    wait::until("the listener's leave", || (info(&engine)["NEventsListener"] == 0).then_some(()));
    // Files come and go during the request.
    wait::until("the number of its descriptors", || {
        let told = info(&engine)["NFd"].as_u64().and_then(|number| usize::try_from(number).ok())?;
        let open =
            fs::read_dir(format!("/proc/{}/fd", engine.daemon_pid())).expect("its descriptors").count();
        (told.abs_diff(open) <= 3).then_some(())
    });
    let before = info(&engine);
    assert!(before["NGoroutines"].as_u64().expect("a number") > 0);
    for id in [running, paused, created] {
        engine.remove(&id);
    }
    let _ = engine.delete("/images/busybox:other").expect(200);
    let identity = info(&engine)["ID"].clone();
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!((&info(&engine)["ID"], numbers(&engine)), (&identity, vec![0, 0, 0, 0, 1, 0]));
}

#[test]
fn settings_are_shown_and_secrets_are_not_made_up() {
    let options = Options {
        arguments: [
            "--label=rack=7",
            "--label",
            "storage=ssd",
            "--insecure-registry=reg.example:5000",
            "--insecure-registry",
            "10.1.0.0/16",
        ]
        .map(str::to_owned)
        .to_vec(),
        environment: [
            ("HTTP_PROXY", "http://proxy:8080"),
            ("https_proxy", "http://secure:8080"),
            ("NO_PROXY", "here,there"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..Options::default()
    };
    let engine = Engine::start_with(options);
    let info = info(&engine);
    assert_eq!(info["Labels"], json!(["rack=7", "storage=ssd"]));
    assert_eq!(
        (&info["HttpProxy"], &info["HttpsProxy"]),
        (&json!("http://proxy:8080"), &json!("http://secure:8080"))
    );
    assert_eq!((&info["NoProxy"], &info["Debug"]), (&json!("here,there"), &json!(true)));
    let registries = &info["RegistryConfig"];
    assert_eq!(registries["IndexConfigs"]["docker.io"]["Secure"], true);
    assert_eq!(registries["IndexConfigs"]["reg.example:5000"]["Secure"], false);
    assert_eq!(registries["InsecureRegistryCIDRs"], json!(["10.1.0.0/16", "127.0.0.0/8"]));
    assert_eq!(info["DockerRootDir"], engine.data_root().to_string_lossy().as_ref());
    assert_eq!((&info["LoggingDriver"], &info["InitSha1"]), (&json!("json-file"), &json!("")));
}
