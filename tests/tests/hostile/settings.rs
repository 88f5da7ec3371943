//! A hostile image's or client's settings, and what a default container may do with its own: each fails, or is
//! refused, and reaches nothing of the host.

use std::path::PathBuf;

use berth_tests::{Context, merged, rootfs, sh};
use serde_json::json;
use tar::EntryType;

use super::Target;

/// The tests' image with further entries.
fn image_with(add: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let base = rootfs::busybox();
    // Behind the last entry of the base: its end is cut off.
    let end = base.len() - base.iter().rev().take_while(|byte| **byte == 0).count();
    let mut archive = tar::Builder::new(base[..end.next_multiple_of(512)].to_vec());
    add(&mut archive);
    archive.into_inner().expect("the archive")
}

fn symlink(archive: &mut tar::Builder<Vec<u8>>, name: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    archive.append_link(&mut header, name, target).expect("a symlink");
}

/// A directory of the host that must stay as it is.
struct Victim(PathBuf);

impl Victim {
    fn new(engine: &Target) -> Self {
        let path = engine.directory().join("victim");
        std::fs::create_dir_all(path.join("empty")).expect("a directory of the host");
        std::fs::write(path.join("hosts"), "").expect("a file of the host");
        Self(path)
    }

    /// The way there from inside any directory that is not too deep.
    fn climbing(&self) -> String {
        format!("{}{}", "../".repeat(16), self.0.display())
    }

    fn assert_untouched(&self) {
        let mut names: Vec<_> = std::fs::read_dir(&self.0)
            .expect("the directory of the host")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["empty", "hosts"]);
        assert_eq!(std::fs::read(self.0.join("hosts")).expect("the file of the host"), b"");
    }
}

/// CVE-2022-24769, CVE-2022-29162, CVE-2016-8867: rights that a program of another user inherits.
#[test]
fn capabilities_are_not_inherited() {
    let engine = Target::start();
    let script = "grep -E 'Cap(Inh|Amb)' /proc/self/status; sleep 600";
    let none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";
    let id = engine.run(&merged(sh(script), json!({ "HostConfig": { "CapAdd": ["NET_ADMIN"] } })));
    berth_tests::wait::until("the capabilities", || (engine.logs(&id).0 == none).then_some(()));
    let looks = ["sh", "-c", "grep -E 'Cap(Inh|Amb)' /proc/self/status"];
    assert_eq!(engine.exec(&id, &looks).stdout, none);
    let other = json!({ "AttachStdout": true, "User": "alice",
                        "Cmd": ["sh", "-c", "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status"] });
    let exec = engine.exec_create(&id, &other);
    let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
    let text = String::from_utf8(berth_tests::frames::split(&bytes).0).expect("text");
    assert_eq!(text.matches("0000000000000000").count(), 4, "{text}");
}

/// CVE-2022-0492: the cgroup's `release_agent` is run by the host's root.
#[test]
fn the_host_runs_nothing_for_a_cgroup() {
    let engine = Target::start();
    let script = "mkdir /m; mount -t cgroup -o memory m /m; mount -t cgroup2 m /m; unshare -UrmC true
        find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name cgroup.procs | while read -r f; do
            (echo 1 > $f) 2>/dev/null && echo written $f; done; mount | grep ' /m '; echo end";
    assert_eq!(engine.output(&sh(script)).stdout, "end\n");
}

/// CVE-2022-0811: a kernel setting of the host changed by one for a container.
#[test]
fn kernel_settings_of_the_host_are_refused() {
    let engine = Target::start();
    let pattern = || std::fs::read("/proc/sys/kernel/core_pattern").expect("the core pattern");
    let before = pattern();
    for sysctls in [
        json!({ "kernel.core_pattern": "|/evil" }),
        json!({ "kernel/core_pattern": "|/evil" }),
        json!({ "net.ipv4/../../kernel/core_pattern": "|/evil" }),
        json!({ "net...kernel.core_pattern": "|/evil" }),
    ] {
        let body = merged(sh("true"), json!({ "HostConfig": { "Sysctls": sysctls } }));
        let created = engine.post_json("/containers/create", &body);
        assert_eq!(created.status(), 500, "{sysctls}: {}", created.text());
    }
    let body =
        json!({ "HostConfig": { "Sysctls": { "net.ipv4.ip_forward": "1\nkernel.core_pattern=|/evil" } } });
    assert_eq!(engine.output(&merged(sh("true"), body)).code, 0, "the kernel reads the number");
    assert_eq!(pattern(), before);
}

/// CVE-2018-20699: a list of processors that takes memory by the length of its ranges.
#[test]
fn a_list_of_all_processors_costs_nothing() {
    let engine = Target::start();
    for list in ["0-4294967295", "0-4294967294,0-4294967294", "0-99999999999"] {
        let body = merged(sh("true"), json!({ "HostConfig": { "CpusetCpus": list } }));
        let text = engine.post_json("/containers/create", &body).expect(500).text();
        assert!(text.contains(list), "{text}");
    }
}

/// CVE-2019-16884 and its kin: a volume in the place of `/proc` takes what protects the container.
#[test]
fn volumes_do_not_cover_proc() {
    let engine = Target::start();
    for place in ["/proc", "/proc/self/attr", "/proc/sys", "/proc/self"] {
        let id = engine.create(&merged(sh("true"), json!({ "Volumes": { place: {} } })));
        let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
        assert!(text.contains("cannot be mounted because it is inside /proc"), "{place}: {text}");
        engine.remove(&id);
    }
}

/// CVE-2022-23648: what an image has in a volume's place is copied, from the host if a symlink leads there.
#[test]
fn volumes_are_filled_from_the_image_alone() {
    let engine = Target::start();
    let secret = engine.directory().join("secret");
    std::fs::create_dir(&secret).expect("a directory of the host");
    std::fs::write(secret.join("file"), "secret").expect("a file of the host");
    let (climbing, absolute) =
        (format!("{}{}", "../".repeat(16), secret.display()), secret.display().to_string());
    let archive = image_with(|archive| {
        symlink(archive, "climbing", &climbing);
        symlink(archive, "absolute", &absolute);
        symlink(archive, "root", "/proc/1/root");
    });
    engine.import("links", &archive);
    let body = |place: &str| {
        let looks = format!("ls -d {place}/. >&2; find {place}/ -name file; cat {place}/file; true");
        json!({ "Image": "links", "Cmd": ["sh", "-c", looks], "Volumes": { place: {} } })
    };
    for place in ["/climbing".to_owned(), "/absolute".to_owned(), format!("/../..{absolute}")] {
        let output = engine.output(&body(&place));
        assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{place}");
        assert!(output.stderr.starts_with(&format!("{place}/.\n")), "the volume is there: {}", output.stderr);
    }
    let place = format!("/root{absolute}");
    let id = engine.create(&body(&place));
    let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
    assert!(text.contains(&format!("mounting at {place}: too many levels of symbolic links")), "{text}");
    engine.remove(&id);
    let _ = engine.delete("/images/links").expect(200);
    std::fs::remove_dir_all(&secret).expect("the directory to go");
}

/// CVE-2020-15257: containers in the host's network reach sockets that have no place in the file system.
#[test]
fn the_hosts_network_shows_no_socket_of_the_engine() {
    let engine = Target::start();
    let looks = merged(
        sh("grep -E '@.*(berth|shim|containers)' /proc/net/unix; echo end"),
        json!({ "HostConfig": { "NetworkMode": "host" } }),
    );
    let id = engine.run(&sh("sleep 600"));
    assert_eq!(engine.output(&looks).stdout, "end\n");
    engine.remove(&id);
}

/// How often a container starts beside the race.
const ATTEMPTS: usize = 25;

/// CVE-2021-30465, CVE-2024-45310: while a container starts, another one that shares its volume puts a symlink in the
/// place where something will be mounted.
#[test]
fn a_place_swapped_while_it_is_mounted_on_is_still_inside() {
    let engine = Target::start();
    let victim = Victim::new(&engine);
    let source = engine.directory().join("source");
    std::fs::create_dir(&source).expect("a directory to bind");
    let script = format!(
        "cd /v; mkdir -p real/in; ln -s {} swapped; echo up
         while :; do mv -T real here; mv -T here real; mv -T swapped here; mv -T here swapped; done",
        victim.climbing()
    );
    let body = merged(sh(&script), json!({ "HostConfig": { "Binds": ["swap:/v"] } }));
    let id = engine.run(&body);
    berth_tests::wait::until("the race", || engine.logs(&id).0.contains("up").then_some(()));
    let binds = json!(["swap:/v", format!("{}:/v/here/in", source.display())]);
    let mut started = 0;
    // It may fail: the place is not always there. Most often it is.
    for _ in 0..ATTEMPTS {
        let id = engine.create(&merged(sh("true"), json!({ "HostConfig": { "Binds": binds } })));
        let answer = engine.post(&format!("/containers/{id}/start"));
        if answer.status() == 204 {
            assert_eq!(engine.wait(&id), 0);
            started += 1;
        } else {
            let text = answer.text();
            let status = if text.contains("no such file or directory") { 404 } else { 500 };
            assert_eq!(answer.status(), status, "{text}");
            assert!(text.contains("mounting at /v/here/in: "), "it fails for the place alone: {text}");
        }
        engine.remove(&id);
    }
    assert!(started > 0, "none of {ATTEMPTS} started");
    victim.assert_untouched();
    engine.remove(&id);
    berth_tests::volumes::forget(&engine, "swap");
    std::fs::remove_dir_all(&source).expect("the directory to go");
}

/// CVE-2024-23652: what a build's step leaves in the place of a mount is taken away, on the host if a symlink leads there.
#[test]
fn mount_points_are_taken_away_from_the_layer_alone() {
    let engine = Target::start();
    let victim = Victim::new(&engine);
    let context = format!(
        "FROM busybox\nVOLUME /a/b/empty\nRUN mv /a /c; ln -s {0} /a; mkdir -p /a; ls -d /a\nRUN rm -rf /a; ln -s /x{0} /a; true\n",
        victim.climbing()
    );
    let _ = engine.build(&[], Context::of(&context));
    victim.assert_untouched();
    engine.forget_builds();
}

/// CVE-2016-3697, CVE-2024-40635: an image whose accounts turn a harmless user into the host's root.
#[test]
fn numbers_of_users_are_not_names() {
    let engine = Target::start();
    let accounts = "root:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\nhuge:x:4294967295:0::/:/bin/sh\nwide:x:4294967296:0::/:/bin/sh\n";
    let archive = image_with(|archive| {
        rootfs::append(archive, "etc/passwd", EntryType::Regular, 0o644, accounts.as_bytes());
    });
    engine.import("accounts", &archive);
    let run = |user: &str| json!({ "Image": "accounts", "User": user, "Cmd": ["id", "-u"] });
    assert_eq!(engine.output(&run("1000")).stdout, "1000\n");
    for user in ["huge", "wide"] {
        let id = engine.create(&run(user));
        let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
        assert!(text.ends_with(&format!("Unable to find user {user}\n")), "{text}");
        engine.remove(&id);
    }
    for user in ["4294967296", "4294967295", "-1"] {
        let text = engine.post_json("/containers/create", &run(user)).expect(500).text();
        assert_eq!(text, "Uids and gids must be in range 0-2147483647\n", "{user}");
    }
    let _ = engine.delete("/images/accounts").expect(200);
}

/// An image's files of accounts are links to files of the kernel: the daemon's root would read the host's messages, and
/// consume them, or find users in a text of the container's choice.
#[test]
fn files_of_the_kernel_are_no_accounts() {
    let engine = Target::start();
    let archive = image_with(|archive| {
        symlink(archive, "etc/passwd", "/proc/sys/kernel/domainname");
        symlink(archive, "etc/group", "/proc/kmsg");
    });
    engine.import("kernel", &archive);
    let run = |user: &str| json!({ "Image": "kernel", "User": user, "Domainname": "evil:x:7:7", "Cmd": ["id", "-u"] });
    let id = engine.create(&run("evil"));
    let text = engine.post(&format!("/containers/{id}/start")).text();
    assert!(text.contains("Unable to find user evil"), "{text}");
    engine.remove(&id);
    assert_eq!(engine.output(&run("7")).stdout, "7\n", "a number needs no accounts");
    let _ = engine.delete("/images/kernel").expect(200);
}
