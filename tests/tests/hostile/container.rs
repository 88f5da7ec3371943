//! A hostile container or image: attacks that other engines have suffered, tried from inside; each must fail.

use std::path::{Path, PathBuf};

use berth_tests::{frames, merged, program, sh, wait};
use serde_json::json;

use super::Target;

/// The bytes of the programs that a container must never change.
fn programs() -> Vec<(PathBuf, Vec<u8>)> {
    let paths = [program("berth", "BERTH_DAEMON"), program("berth-shim", "BERTH_SHIM")];
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("a program"))).collect()
}

fn assert_unchanged(before: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in before {
        assert!(std::fs::read(path).expect("a program") == *bytes, "{} was changed", path.display());
    }
}

/// CVE-2019-5736: `/proc/self/exe` of the process that enters the container leads to the runtime's program,
/// which root in the container could open for writing.
#[test]
fn the_runtimes_program_cannot_be_overwritten_through_proc() {
    let engine = Target::start();
    let before = programs();
    let script = "cp /bin/busybox /bin/real
        while :; do for pid in /proc/[0-9]*; do
            case $(readlink $pid/exe 2>/dev/null) in /bin/*|'') ;; *) echo found $(readlink $pid/exe);
            (echo overwritten > $pid/exe) 2>/dev/null && echo wrote $pid;; esac
        done; done";
    let id = engine.run(&sh(script));
    for _ in 0..30 {
        let _ = engine.exec(&id, &["true"]);
    }
    let entry = engine.create(&json!({ "Image": "busybox", "Cmd": ["/proc/self/exe"] }));
    let _ = engine.post(&format!("/containers/{entry}/start"));
    let body = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": ["/proc/self/exe", "--version"] });
    let exec = engine.exec_create(&id, &body);
    let _ = engine.exec_start(&exec, &json!({})).read_to_end();
    let log = engine.logs(&id).0;
    assert!(!log.contains("wrote"), "{log}");
    assert_unchanged(&before);
    assert_eq!(engine.output(&sh("echo works")).stdout, "works\n");
}

/// CVE-2024-21626: a descriptor of the host that is open in the new process, or a working directory that
/// leads through it, gives the host's files.
#[test]
fn no_descriptor_of_the_host_leaks_into_a_container() {
    let engine = Target::start();
    let listing = "ls -l /proc/self/fd | grep -v total; for fd in /proc/self/fd/*; do ls $fd/.. 2>/dev/null; done; pwd -P";
    let lines = |text: &str| text.lines().filter(|line| line.contains("->")).count();
    let output = engine.output(&sh(listing));
    assert!(lines(&output.stdout) <= 4, "0, 1, 2 and the listing's own:\n{}", output.stdout);
    let id = engine.run(&sh("sleep 600"));
    let output = engine.exec(&id, &["sh", "-c", listing]);
    assert!(lines(&output.stdout) <= 4, "in an exec:\n{}", output.stdout);
    for number in 3..24 {
        let directory = format!("/proc/self/fd/{number}");
        let looks = |directory: &str| merged(sh("pwd -P; ls"), json!({ "WorkingDir": directory }));
        // One of the engine's or none: no working directory leads through a descriptor.
        let id = engine.create(&looks(&directory));
        let answer = engine.post(&format!("/containers/{id}/start"));
        let cause = match answer.status() {
            500 => "too many levels of symbolic links",
            404 => "no such file or directory",
            status => panic!("{directory}: {status}: {}", answer.text()),
        };
        let refusals = [format!("mkdir {directory}: {cause}\n"), format!("(\"{directory}\"): {cause}\n")];
        let text = answer.text();
        assert!(refusals.iter().any(|refusal| text.ends_with(refusal)), "{directory}: {text}");
        engine.remove(&id);
        // The parents are those of the name, not those of the directory that the descriptor has open.
        let output = engine.output(&looks(&format!("{directory}/../../..")));
        assert!(output.stdout.starts_with("/proc\n"), "{directory}: {}", output.stdout);
        assert!(output.stdout.lines().any(|line| line == "self"), "{directory}: {}", output.stdout);
    }
}

/// CVE-2024-21626 again: a working directory that is a link into `/proc` made by the image.
#[test]
fn a_working_directory_behind_a_link_stays_inside() {
    let engine = Target::start();
    let id = engine.run(&sh("ln -s /proc/self/fd/5 /link; ln -s /proc/1/root /root-link; sleep 600"));
    wait::until("the links", || (engine.exec(&id, &["ls", "/root-link"]).code == 0).then_some(()));
    for directory in ["/link", "/root-link", "/proc/1/cwd"] {
        let command = ["sh", "-c", "ls -d boot; pwd -P"];
        let body =
            json!({ "AttachStdout": true, "AttachStderr": true, "WorkingDir": directory, "Cmd": command });
        let today = engine.at("1.35");
        let exec = today.exec_create(&id, &body);
        let answer = today.post_json(&format!("/exec/{exec}/start"), &json!({})).expect(200);
        let (stdout, stderr) = frames::split(&answer.body);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(stdout, "", "{directory}");
        assert!(stderr.starts_with(&format!("chdir to cwd (\"{directory}\"): ")), "{directory}: {stderr}");
    }
}

/// CVE-2016-9962: the process that enters a container for an exec can be traced, or its descriptors opened,
/// by a process already inside before it is set up.
#[test]
fn an_exec_half_set_up_cannot_be_entered() {
    let engine = Target::start();
    let script = "while :; do for pid in /proc/[0-9]*; do
        for fd in $pid/fd/*; do
            target=$(readlink $fd 2>/dev/null) || continue
            case $target in
                pipe:*|/dev/*|/proc/*|''|socket:*|anon_inode:*) ;;
                *) echo descriptor $target;;
            esac
            [ -d $fd ] && ls $fd/../../../boot 2>/dev/null && echo escaped $fd
        done
        root=$(readlink $pid/root 2>/dev/null); [ -n \"$root\" ] && [ \"$root\" != / ] && echo root $root
      done; done";
    for capabilities in [json!([]), json!(["SYS_PTRACE"])] {
        let host = json!({ "CapAdd": capabilities });
        let id = engine.run(&merged(sh(script), json!({ "HostConfig": host })));
        for _ in 0..60 {
            let _ = engine.exec(&id, &["true"]);
        }
        let (log, _) = engine.logs(&id);
        let outside = |line: &&str| {
            line.starts_with("escaped")
                || line.starts_with("root ")
                || (line.starts_with("descriptor") && line.contains("berth"))
        };
        assert_eq!(log.lines().find(outside), None, "with {host}");
        engine.remove(&id);
    }
}

/// CVE-2025-31133: `/dev/null` replaced by a link makes the runtime mount the link's target over a masked
/// path, or leaves it unmasked.
#[test]
fn a_replaced_dev_null_unmasks_nothing() {
    let engine = Target::start();
    let archive = link_image("dev/null", "/proc/sys/kernel/core_pattern");
    engine.import("linked", &archive);
    let script = "cat /proc/kcore | head -c 1 | wc -c; cat /proc/keys 2>/dev/null | wc -c; ls -l /dev/null; echo '|/evil' > /proc/sys/kernel/core_pattern; echo $?";
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("the core pattern");
    let stdout = engine.output(&json!({ "Image": "linked", "Cmd": ["sh", "-c", script] })).stdout;
    assert!(stdout.starts_with("0\n0\n"), "{stdout}");
    assert!(stdout.contains("crw-rw-rw-"), "the device itself: {stdout}");
    assert!(stdout.ends_with("\n1\n"), "{stdout}");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("the core pattern"), pattern);
    let _ = engine.delete("/images/linked").expect(200);
}

/// CVE-2025-52565: `/dev/console` or `/dev/pts/0` replaced by a link makes the terminal's bind mount land on
/// a file of `/proc`.
#[test]
fn a_replaced_console_is_not_followed() {
    let engine = Target::start();
    for name in ["dev/console", "dev/pts/0", "dev/ptmx"] {
        let archive = link_image(name, "/proc/sys/kernel/core_pattern");
        engine.import("console", &archive);
        let script = "cat /proc/sys/kernel/core_pattern | head -c 20 | wc -c; echo '|/evil' > /proc/sys/kernel/core_pattern; echo done $?";
        let id = engine.create(&json!({ "Image": "console", "Tty": true, "Cmd": ["sh", "-c", script] }));
        engine.start(&id);
        assert_eq!(engine.wait(&id), 0, "{name}");
        let text = engine.get(&format!("/containers/{id}/logs?stdout=1")).expect(200).text();
        assert!(text.ends_with("done 1\r\n"), "{name}: {text}");
        engine.remove(&id);
        let _ = engine.delete("/images/console").expect(200);
    }
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("the core pattern");
    assert!(!pattern.contains("evil"), "{pattern}");
}

/// CVE-2025-52881: a shared mount lets the runtime's writes to `/proc` (labels, sysctls) go elsewhere.
#[test]
fn writes_to_proc_cannot_be_redirected() {
    let engine = Target::start();
    let archive = link_image("proc", "/tmp");
    let answer = engine.call("POST", "/images/create?fromSrc=-&repo=proclink", &[], &archive);
    assert_eq!(answer.status(), 200);
    let id = engine.create(&json!({ "Image": "proclink", "Cmd": ["true"] }));
    let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
    assert!(text.ends_with("opening /proc: too many levels of symbolic links\n"), "{text}");
    engine.remove(&id);
    let target = engine.directory().join("target");
    std::fs::create_dir(&target).expect("a directory");
    let bind = format!("{}:/proc/sys/net", target.display());
    let body = merged(sh("true"), json!({ "HostConfig": { "Binds": [bind], "Privileged": false } }));
    let id = engine.create(&body);
    let text = engine.post(&format!("/containers/{id}/start")).expect(500).text();
    assert!(text.contains("/proc/sys/net cannot be mounted because it is inside /proc"), "{text}");
    engine.remove(&id);
    assert_eq!(std::fs::read_dir(&target).expect("the directory").count(), 0, "nothing was written into it");
    std::fs::remove_dir_all(&target).expect("the directory to go");
    let _ = engine.delete("/images/proclink").expect(200);
}

/// The images' links must not lead the daemon's mounts out of the root.
#[test]
fn mounts_onto_links_stay_inside_the_root() {
    let engine = Target::start();
    let outside = engine.directory().join("outside");
    std::fs::create_dir(&outside).expect("a directory outside");
    let up = "../".repeat(12);
    let target = format!("{up}{}", outside.display());
    let archive = link_image("data", &target);
    engine.import("datalink", &archive);
    let source = engine.directory().join("source");
    std::fs::create_dir(&source).expect("a directory to bind");
    std::fs::write(source.join("file"), "x").expect("a file");
    let bind = format!("{}:/data/inner", source.display());
    let body =
        json!({ "Image": "datalink", "Cmd": ["ls", "/data/inner"], "HostConfig": { "Binds": [bind] } });
    let output = engine.output(&body);
    assert_eq!((output.code, output.stdout.as_str()), (0, "file\n"), "{}", output.stderr);
    assert_eq!(std::fs::read_dir(&outside).expect("the directory").count(), 0, "made outside of the root");
    std::fs::remove_dir_all(&outside).expect("the directory to go");
    std::fs::remove_dir_all(&source).expect("the directory to go");
    let _ = engine.delete("/images/datalink").expect(200);
}

/// Resolver files written by the daemon go into its own directory, never through links of the image.
#[test]
fn name_files_do_not_follow_the_images_links() {
    let engine = Target::start();
    let victim = engine.directory().join("victim");
    std::fs::write(&victim, "untouched").expect("a file");
    for name in ["etc/hosts", "etc/resolv.conf", "etc/hostname"] {
        let target = format!("..{}{}", "/..".repeat(11), victim.display());
        engine.import("names", &link_image(name, &target));
        // The container has the symlink as it is, and what stands behind it there: nothing, or the engine's own file.
        let script = format!("readlink /{name}; cat /{name} 2>/dev/null | grep -c untouched");
        let output = engine.output(&json!({ "Image": "names", "Cmd": ["sh", "-c", script] }));
        assert_eq!(output.stdout, format!("{target}\n0\n"), "{name}");
        let _ = engine.delete("/images/names").expect(200);
    }
    assert_eq!(std::fs::read_to_string(&victim).expect("the file"), "untouched");
    std::fs::remove_file(&victim).expect("the file to go");
}

/// What a container writes to its streams cannot disturb the framing for its clients.
#[test]
fn a_container_cannot_forge_frames() {
    let engine = Target::start();
    let output = engine.output(&sh("printf '\\002\\000\\000\\000\\000\\000\\000\\005fake!'"));
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("fake!"));
}

/// The tests' image with one path replaced by a symbolic link.
fn link_image(name: &str, target: &str) -> Vec<u8> {
    let mut source = tar::Archive::new(berth_tests::rootfs::busybox());
    let mut image = tar::Builder::new(Vec::new());
    let same = |path: &Path| path == Path::new(name);
    for entry in source.entries().expect("the archive") {
        let entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        let mut header = entry.header().clone();
        if same(&path) {
            continue;
        }
        match entry.link_name().expect("a link") {
            Some(link) => image.append_link(&mut header, &path, link).expect("a link"),
            None => image.append(&header.clone(), entry).expect("an entry"),
        }
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    image.append_link(&mut header, name, target).expect("the link");
    image.into_inner().expect("the archive")
}

/// Megabytes of arguments in each process, which `top` would show.
#[test]
fn arguments_of_processes_take_no_memory_of_the_daemon() {
    let engine = Target::start();
    let script = "import subprocess, time\n\
                  for _ in range(5): subprocess.Popen(['sh', '-c', 'sleep 600; :'] + ['x' * 100000] * 18)\n\
                  print('started', flush=True)\ntime.sleep(600)";
    let id = engine.run(&super::with_python(script, &[]));
    wait::until("the processes", || {
        assert_eq!(engine.logs(&id).1, "");
        (engine.logs(&id).0 == "started\n").then_some(())
    });
    let top = engine.get(&format!("/containers/{id}/top")).expect(200).json();
    let processes = top["Processes"].as_array().expect("a list");
    assert!(processes.len() > 5, "{}", processes.len());
    let longest = processes.iter().filter_map(|row| row[7].as_str()).map(str::len).max();
    assert_eq!(longest, Some(4096), "arguments are shown as far as a page goes");
    let asked = engine.get(&format!("/containers/{id}/top?ps_args=axww+-o+pid,args"));
    assert!(asked.body.len() < 17 << 20, "{} bytes", asked.body.len());
}
