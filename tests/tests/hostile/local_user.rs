//! An unprivileged user of the host: reads and enters nothing of the engine's.
//!
//! CVE-2021-41091: a container's set-user-ID program, run by a user of the host from beneath the data root, makes
//! him root; CVE-2021-41103: the same beneath the exec root.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use berth_tests::{Context, Engine, sh};
use serde_json::json;

use super::Target;

/// Gives those of the paths that user 65534 of a group can see.
fn seen(paths: &[PathBuf], group: &str) -> Vec<String> {
    let script =
        r#"while IFS= read -r path; do if [ -e "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done"#;
    let mut child = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", group, "--clear-groups", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("setpriv (util-linux)");
    let mut input = child.stdin.take().expect("its input");
    let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writer").expect("all paths read");
    String::from_utf8(output.stdout).expect("paths").lines().map(str::to_owned).collect()
}

/// Everything beneath both roots.
fn paths(engine: &Engine) -> Vec<PathBuf> {
    let roots = [engine.data_root(), engine.exec_root()];
    let output = Command::new("find").args(&roots).args(["-mindepth", "1"]).output().expect("find");
    String::from_utf8(output.stdout).expect("paths").lines().map(PathBuf::from).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
}

/// A container that runs and has a set-user-ID program, with a volume and an exec; an image and a built one.
fn fill(engine: &Engine) -> String {
    let built = engine.build(&[("t", "built")], Context::of("FROM busybox\nRUN echo x > /made\n"));
    assert!(!built.image().is_empty());
    let script = "cp /bin/busybox /who; chmod 4755 /who; echo ready; sleep 600";
    let mut body = sh(script);
    body["Env"] = json!(["PASSWORD=secret"]);
    body["HostConfig"] = json!({ "Binds": ["shared:/v"] });
    let id = engine.run(&body);
    berth_tests::wait::until("the program", || engine.logs(&id).0.contains("ready").then_some(()));
    let output = engine.exec(&id, &["sh", "-c", "echo x > /v/file; stat -c %a /who"]);
    assert_eq!(output.stdout, "4755\n");
    id
}

fn assert_closed(engine: &Engine, id: &str) {
    let paths = paths(engine);
    let has = |end: &str| paths.iter().any(|path| path.ends_with(end));
    for end in ["upper/who", "volumes/shared/_data/file", "state.db", "images/images.db", "spec.json"] {
        assert!(has(end), "{end} is there to be looked for");
    }
    assert_eq!(seen(&paths, "65534"), Vec::<String>::new());
    assert_eq!((mode(&engine.data_root()), mode(&engine.exec_root())), (0o700, 0o700));
    let container = engine.data_root().join("containers").join(id);
    let run = engine.exec_root().join("containers").join(id);
    for directory in [&container, &run, &engine.data_root().join("volumes/shared")] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    let data = engine.data_root();
    let log = container.join(format!("{id}-json.log"));
    let files = ["state.db", "state.db-wal", "state.db-shm", "images/images.db"].map(|name| data.join(name));
    for file in files.iter().chain([&log, &run.join("spec.json"), &run.join("processes.json")]) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

#[test]
fn nothing_of_the_engine_can_be_seen() {
    let mut engine = Target::start();
    let own = [engine.data_root(), engine.exec_root()];
    assert_eq!(seen(&own, "65534").len(), 2, "what lies in no closed directory is seen");
    let id = fill(&engine);
    assert_closed(&engine, &id);
    // What an earlier release left open.
    engine.kill_daemon();
    for root in own {
        let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(&root).status().expect("chmod");
        assert!(opened.success());
    }
    let who = engine.data_root().join("containers").join(&id).join("upper/who");
    assert_eq!(seen(&[who], "65534").len(), 1, "it is open now");
    engine.start_daemon();
    assert_closed(&engine, &id);
    // The container's own user still reads what is bound into it.
    let script = "cat /etc/hosts /etc/hostname /etc/resolv.conf > /dev/null && cat /v/file";
    let exec = json!({ "AttachStdout": true, "User": "65534", "Cmd": ["sh", "-c", script] });
    let exec = engine.exec_create(&id, &exec);
    let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
    assert_eq!(berth_tests::frames::split(&bytes).0, b"x\n");
    engine.forget_builds();
    berth_tests::volumes::forget(&engine, "shared");
}

#[test]
fn a_socket_in_the_exec_root_stays_open_for_its_group() {
    let mut engine = Target::start();
    engine.stop_daemon();
    let (first, second) = (engine.socket(), engine.exec_root().join("second.sock"));
    let host = format!("unix://{}", second.display());
    engine.start_daemon_with_flags(&["--host", &host, "--group", "12345"]);
    let id = engine.run(&sh("sleep 600"));
    assert_eq!(mode(&engine.exec_root()), 0o710);
    assert_eq!(fs::metadata(engine.exec_root()).expect("metadata").gid(), 12345);
    assert_eq!(seen(&[second.clone(), first], "12345").len(), 2);
    assert_eq!(seen(&[second], "65534"), Vec::<String>::new());
    let containers = engine.exec_root().join("containers");
    assert_eq!(seen(&[containers.join(&id), containers.join(&id).join("spec.json")], "12345").len(), 0);
}
