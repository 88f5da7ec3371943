//! `StorageOpt` and the option `size` of volumes: how much a container's own layer and a volume may hold, where the file system counts for projects.
//!
//! `BERTH_PROJECT_QUOTA` declares that the tests' directory is on such a file system; the emulated machine of `vm` has
//! one.

use berth_tests::today::Today;
use berth_tests::{merged, sh, wait};
use serde_json::{Value, json};

fn limited(script: &str, size: &str) -> Value {
    merged(sh(script), json!({ "HostConfig": { "StorageOpt": { "size": size } } }))
}

fn has_quota() -> bool {
    std::env::var_os("BERTH_PROJECT_QUOTA").is_some()
}

#[test]
fn a_host_without_quotas_says_so_and_nothing_is_left() {
    if has_quota() {
        return;
    }
    let today = Today::start();
    let answer = today.post_json("/containers/create", &limited("true", "10m")).expect(400);
    let words = "--storage-opt is supported only where the data root is on xfs or ext4 with quotas of projects (mount option 'prjquota')";
    assert_eq!(answer.message(), words);
    assert_eq!(today.get("/containers/json?all=1").expect(200).json(), json!([]));
}

#[test]
fn a_layer_holds_no_more_than_it_may() {
    if !has_quota() {
        return;
    }
    let today = Today::start();
    let fill = "dd if=/dev/zero of=/file bs=1M count=$1 2>&1 | grep -c 'space\\|quota'; stat -c %s /file";
    let script = |count: u32| format!("set -- {count}; {fill}");
    let output = today.output(&limited(&script(20), "8m")).stdout;
    let lines: Vec<u64> = output.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(lines[0], 1, "the kernel refuses the rest: {output}");
    assert!((4 << 20..=8 << 20).contains(&lines[1]), "{output}");
    // Each has its own share, the others none.
    for _ in 0..2 {
        assert_eq!(today.output(&limited(&script(6), "8m")).stdout, "0\n6291456\n");
    }
    assert_eq!(today.output(&sh(&script(20))).stdout, "0\n20971520\n");
    // The limit lasts over stops and is shown.
    let id = today.run(&limited("dd if=/dev/zero of=/file bs=1M count=5; echo full; sleep 600", "8m"));
    wait::until("the file", || today.logs(&id).0.contains("full").then_some(()));
    let _ = today.post(&format!("/containers/{id}/restart?t=0")).expect(204);
    let more = "dd if=/dev/zero of=/more bs=1M count=5 2>&1 | grep -c 'space\\|quota'";
    assert_eq!(today.exec(&id, &["sh", "-c", more]).stdout, "1\n");
    assert_eq!(today.inspect(&id)["HostConfig"]["StorageOpt"], json!({ "size": "8m" }));
    // What images have is not counted, what is copied up is.
    assert_eq!(today.output(&limited("echo x >> /bin/busybox; echo $?", "1m")).stdout, "1\n");
}

#[test]
fn a_host_without_quotas_refuses_the_size_of_a_volume() {
    if has_quota() {
        return;
    }
    let today = Today::start();
    let asked = json!({ "Name": "data", "DriverOpts": { "size": "10m" } });
    let answer = today.post_json("/volumes/create", &asked).expect(400);
    assert_eq!(answer.message(), "quota size requested but no quota support");
    let _ = today.get("/volumes/data").expect(404);
}

#[test]
fn a_volume_holds_no_more_than_it_may() {
    if !has_quota() {
        return;
    }
    let today = Today::start();
    let asked = json!({ "Name": "data", "DriverOpts": { "size": "8m" } });
    let made = today.post_json("/volumes/create", &asked).expect(201).json();
    assert_eq!(made["Options"], json!({ "size": "8m" }));
    let with = |place: &str, script: &str| {
        merged(sh(script), json!({ "HostConfig": { "Binds": [format!("data:{place}")] } }))
    };
    // What the image has there comes into it, and counts.
    assert_eq!(today.output(&with("/etc", "ls /etc/passwd")).stdout, "/etc/passwd\n");
    let fill =
        "dd if=/dev/zero of=/data/file bs=1M count=20 2>&1 | grep -c 'space\\|quota'; stat -c %s /data/file";
    let output = today.output(&with("/data", fill)).stdout;
    let lines: Vec<u64> = output.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(lines[0], 1, "the kernel refuses the rest: {output}");
    assert!((4 << 20..=8 << 20).contains(&lines[1]), "{output}");
    // A volume without a size, and the container's own layer, have as much as the disk.
    let free = "dd if=/dev/zero of=/free/file bs=1M count=20 2>&1 | grep -c 'space\\|quota'";
    let other = merged(sh(free), json!({ "HostConfig": { "Binds": ["other:/free"] } }));
    assert_eq!(today.output(&other).stdout, "0\n");
    let bad = json!({ "Name": "bad", "DriverOpts": { "size": "much" } });
    assert_eq!(today.post_json("/volumes/create", &bad).expect(400).message(), "invalid size: 'much'");
}
