//! `--userns-remap`: containers whose root is an unprivileged user of the host, with the images and volumes
//! of all others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_tests::tarball::{TAR, entries};
use berth_tests::today::Today;
use berth_tests::{Client, Context, Engine, Options, merged, query, sh, wait};
use serde_json::{Value, json};

const REMAP: &str = "--userns-remap=root";

/// An engine whose containers' users begin at 100000, their groups at 200000.
fn start() -> Today {
    let etc =
        vec![("subuid", "root:100000:65536\n".to_owned()), ("subgid", "root:200000:65536\n".to_owned())];
    Today::of(Engine::start_with(Options { arguments: vec![REMAP.to_owned()], etc, ..Options::default() }))
}

/// A running container that has printed that it is up.
fn up(engine: &Client, script: &str, host: Value) -> String {
    let id = engine.run(&merged(sh(&format!("{script}; echo up; sleep 600")), json!({ "HostConfig": host })));
    wait::until("its start", || engine.logs(&id).0.contains("up").then_some(()));
    id
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).expect("a file");
    (found.uid(), found.gid())
}

/// The owner and the content of one thing in a container's archive.
fn fetched(engine: &Client, id: &str, path: &str) -> ((u64, u64), String) {
    let answer = engine.get(&format!("/containers/{id}/archive{}", query(&[("path", path)]))).expect(200);
    let entry = entries(&answer.body).into_values().next().expect("an entry");
    (entry.owner, String::from_utf8_lossy(&entry.content).into_owned())
}

/// An archive of a file with an owner.
fn belonging_to(name: &str, (user, group): (u64, u64)) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o640);
    header.set_uid(user);
    header.set_gid(group);
    archive.append_data(&mut header, name, &b"put"[..]).expect("an entry");
    archive.into_inner().expect("the archive's end")
}

fn put(engine: &Client, id: &str, path: &str, more: &[(&str, &str)], archive: &[u8]) -> berth_tests::Answer {
    let parameters = [&[("path", path)], more].concat();
    engine.call("PUT", &format!("/containers/{id}/archive{}", query(&parameters)), &TAR, archive)
}

/// Linux 6.3 brought idmapped mounts of memory.
fn memory_can_be_mapped() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(6), Some(3))
}

const MAPS: &str = "0 100000 65536\n0 200000 65536\n";

#[test]
fn root_of_a_container_is_nobody_of_the_host() {
    let today = start();
    let engine = &today.daemon;
    let info = today.get("/info").expect(200).json();
    assert_eq!(info["SecurityOptions"], json!(["name=seccomp,profile=default", "name=userns"]));
    assert_eq!(
        engine.at("1.24").get("/info").expect(200).json()["SecurityOptions"],
        json!(["seccomp", "userns"])
    );
    let host = engine.directory().join("host");
    fs::create_dir(&host).expect("a directory");
    let script = "awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; \
        for f in / /bin/busybox /etc/hosts /volume /host /scratch /dev/shm; do stat -c '%u:%g %n' $f; done; \
        touch /mine /volume/mine /scratch/mine; chown 12:13 /mine; (touch /host/mine) 2>/dev/null || echo denied";
    let settings = json!({ "Binds": ["data:/volume", format!("{}:/host", host.display())], "Tmpfs": { "/scratch": "" } });
    let id = up(&today, script, settings);
    let expected = format!(
        "{MAPS}0:0 /\n0:0 /bin/busybox\n0:0 /etc/hosts\n0:0 /volume\n65534:65534 /host\n0:0 /scratch\n0:0 /dev/shm\ndenied\nup\n"
    );
    assert_eq!(today.logs(&id).0, expected);
    let process = Path::new("/proc").join(today.pid(&id).to_string());
    assert_eq!(owner(&process.join("root/mine")), (100_012, 200_013));
    let status = fs::read_to_string(process.join("status")).expect("its status");
    assert!(status.contains("Uid:\t100000\t") && status.contains("Gid:\t200000\t"), "{status}");
    // On disk owners are those that the container sees: nothing is changed for it, and others can use the same files.
    assert_eq!(owner(&engine.data_root().join(format!("containers/{id}/upper/mine"))), (12, 13));
    assert_eq!(owner(&engine.data_root().join("volumes/data/_data/mine")), (0, 0));
    assert_eq!(today.exec(&id, &["sh", "-c", "id -u; id -g; stat -c %u /mine"]).stdout, "0\n0\n12\n");
    let top = today.get(&format!("/containers/{id}/top")).expect(200).json();
    assert_eq!(top["Processes"][0][0], "100000");
    let own = merged(
        sh("awk '{print $2}' /proc/self/uid_map; stat -c %u:%g /volume/mine; touch /host/mine"),
        json!({ "HostConfig": { "UsernsMode": "host", "Binds": ["data:/volume", format!("{}:/host", host.display())] } }),
    );
    let output = today.output(&own);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("0\n0:0\n", ""),
        "the host's users, the same volume"
    );
    assert_eq!(owner(&host.join("mine")), (0, 0));
}

#[test]
fn archives_have_the_owners_that_a_container_sees() {
    let today = start();
    let id = up(&today, "echo here > /mine; chown 12:13 /mine", json!({ "Binds": ["data:/volume"] }));
    assert_eq!(fetched(&today, &id, "/mine"), ((12, 13), "here\n".into()));
    let archive = belonging_to("given", (55, 66));
    let check = |path: &str, more: &[(&str, &str)], owner: (u64, u64)| {
        let _ = put(&today, &id, path, more, &archive).expect(200);
        assert_eq!(fetched(&today, &id, &format!("{path}/given")), (owner, "put".into()), "{path} {more:?}");
    };
    check("/etc", &[], (55, 66));
    check("/volume", &[], (55, 66));
    check("/dev/shm", &[], (55, 66));
    let seen = today.exec(&id, &["sh", "-c", "stat -c %u:%g /etc/given /volume/given"]).stdout;
    assert_eq!(seen, "55:66\n55:66\n");
    let answer = put(&today, &id, "/etc", &[], &belonging_to("lost", (70_000, 0))).expect(400);
    assert_eq!(
        answer.message(),
        "\"lost\" belongs to 70000:0, whom the user namespace of the container lacks"
    );
    let _ = today.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!(fetched(&today, &id, "/mine"), ((12, 13), "here\n".into()));
    check("/tmp", &[], (55, 66));
    check("/volume", &[], (55, 66));
    let changes = today.get(&format!("/containers/{id}/changes")).expect(200).json();
    assert!(
        changes.as_array().expect("changes").contains(&json!({ "Path": "/mine", "Kind": 1 })),
        "{changes}"
    );
    let exported = today.get(&format!("/containers/{id}/export")).expect(200);
    assert_eq!(entries(&exported.body)["mine"].owner, (12, 13));
    let made = today.post(&format!("/commit?container={id}&repo=made")).expect(201);
    assert_eq!(made.json()["Id"].as_str().map(|id| &id[..7]), Some("sha256:"));
    let image = merged(sh("stat -c %u:%g /mine"), json!({ "Image": "made" }));
    for mode in ["", "host"] {
        let body = merged(image.clone(), json!({ "HostConfig": { "UsernsMode": mode } }));
        assert_eq!(today.output(&body).stdout, "12:13\n", "{mode:?}");
    }
    today.daemon.forget_builds();
}

#[test]
fn what_belongs_to_the_hosts_users_is_refused() {
    let today = start();
    for (host, words) in [
        (
            json!({ "Privileged": true }),
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
        ),
        (
            json!({ "NetworkMode": "host" }),
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            json!({ "PidMode": "host" }),
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
    ] {
        let body = merged(sh("awk '{print $2}' /proc/self/uid_map"), json!({ "HostConfig": host }));
        assert_eq!(today.post_json("/containers/create", &body).expect(400).message(), words);
        let body = merged(body, json!({ "HostConfig": { "UsernsMode": "host" } }));
        assert_eq!(today.output(&body).stdout, "0\n");
        assert_eq!(today.inspect(&today.create(&body))["HostConfig"]["UsernsMode"], "host");
    }
    let other = up(&today, "true", json!({}));
    let joined =
        json!({ "NetworkMode": format!("container:{other}"), "PidMode": format!("container:{other}") });
    let script = "awk '{print $2}' /proc/self/uid_map; kill -0 1 && echo its root";
    let body = merged(sh(script), json!({ "HostConfig": joined }));
    assert_eq!(today.output(&body).stdout, "100000\nits root\n");
    let device = json!({ "Devices": [{ "PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/given", "CgroupPermissions": "r" }] });
    let body = merged(sh("stat -c '%t:%T %u' /dev/given"), json!({ "HostConfig": device }));
    assert_eq!(today.output(&body).stdout, "1:b 0\n");
}

#[test]
fn builds_run_with_the_containers_users() {
    let today = start();
    let engine = &today.daemon;
    let dockerfile = "FROM busybox\nCOPY --chown=5:6 given /given\n\
        RUN awk '{print $2}' /proc/self/uid_map > /map && touch /made && chown 12:13 /made && stat -c %u:%g /given >> /map\n\
        RUN <<E\n#!/bin/sh\nstat -c %u $0 >> /map\nE\nUSER 7\nRUN id -u > /tmp/user\n";
    let image = today.build(&[], Context::of(dockerfile).file("given", "given")).image();
    let script = "cat /map /tmp/user; stat -c %u:%g /given /made /tmp/user";
    let expected = "100000\n5:6\n0\n7\n5:6\n12:13\n7:0\n";
    assert_eq!(today.output_of(&image, script), expected);
    let body = json!({ "Image": image, "Cmd": ["sh", "-c", script], "HostConfig": { "UsernsMode": "host" } });
    assert_eq!(today.output(&body).stdout, expected);
    engine.forget_builds();
}

#[test]
fn volumes_that_are_mounts_are_mapped_unless_they_are_binds() {
    let today = start();
    let engine = &today.daemon;
    let host = engine.directory().join("host");
    fs::create_dir(&host).expect("a directory");
    for (name, options) in [
        ("memory", json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m" })),
        ("bind", json!({ "type": "none", "device": host, "o": "bind" })),
    ] {
        let _ =
            today.post_json("/volumes/create", &json!({ "Name": name, "DriverOpts": options })).expect(201);
    }
    let mut binds = vec!["memory:/memory", "bind:/bind"];
    if !memory_can_be_mapped() {
        let body = merged(sh("true"), json!({ "HostConfig": { "Binds": [binds.remove(0)] } }));
        let message = today.post(&format!("/containers/{}/start", today.create(&body))).expect(500).message();
        let words = "the file system of the volume memory has no idmapped mounts, which a container with a user namespace needs";
        assert!(message.ends_with(words), "{message}");
        binds.push("other:/memory");
    }
    let mounts = json!({ "Binds": binds,
        "Mounts": [{ "Type": "image", "Source": "busybox", "Target": "/image" }] });
    let script = "stat -c '%u %n' /memory /bind /image/bin/busybox; touch /memory/x && echo written";
    let id = up(&today, script, mounts);
    assert_eq!(today.logs(&id).0, "0 /memory\n65534 /bind\n0 /image/bin/busybox\nwritten\nup\n");
    let check = json!({ "Image": "busybox", "Cmd": ["sleep", "600"],
        "Healthcheck": { "Test": ["CMD-SHELL", "test $(id -u) = 0"], "Interval": 100_000_000 } });
    let checked = today.run(&check);
    wait::until("its health", || {
        (today.inspect(&checked)["State"]["Health"]["Status"] == "healthy").then_some(())
    });
}

#[test]
fn a_daemon_without_the_flag_serves_who_runs_with_it() {
    let mut today = start();
    let engine = &mut today.daemon;
    let id = up(engine, "touch /mine; chown 12:13 /mine", json!({}));
    engine.kill_daemon();
    engine.start_daemon_with_flags(&[]);
    assert_eq!(engine.exec(&id, &["stat", "-c", "%u:%g", "/mine"]).stdout, "12:13\n");
    assert_eq!(fetched(engine, &id, "/mine").0, (12, 13));
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/start")).expect(204);
    let map =
        engine.exec(&id, &["sh", "-c", "awk '{print $2}' /proc/self/uid_map; stat -c %u:%g /mine"]).stdout;
    assert_eq!(map, "0\n12:13\n");
}

#[test]
fn users_without_ranges_are_refused_at_the_daemons_start() {
    let mut today = start();
    let engine = &mut today.daemon;
    engine.stop_daemon();
    for (flag, words) in [
        ("--userns-remap=nosuch", "there is no user \\\"nosuch\\\" on this host"),
        (
            "--userns-remap=daemon",
            "/etc/subuid has no range of daemon: a line such as daemon:100000:65536 is needed",
        ),
    ] {
        let said = engine.refuses_to_start(&[flag]);
        assert!(said.contains(words) || said.contains(&words.replace("\\\"", "\"")), "{said}");
    }
    engine.start_daemon_with_flags(&["--userns-remap=0:0"]);
    let map = engine.output(&sh("awk '{print $2}' /proc/self/uid_map")).stdout;
    assert_eq!(map, "100000\n");
}
