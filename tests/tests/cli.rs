//! The real client, unmodified: every command exits with the right code and none hangs.

use std::io::{BufRead, Read};

use berth_tests::cli::{Docker, clients};
use berth_tests::{Engine, wait};

/// Starts a container that sleeps, by the client; gives its id.
fn sleeper(docker: &Docker<'_>, name: &str) -> String {
    docker.ok(&["run", "-d", "--name", name, "busybox", "sleep", "600"])
}

#[test]
fn version_and_info() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        assert_eq!(docker.ok(&["version", "--format", "{{.Server.APIVersion}}"]), "1.55");
        assert!(docker.ok(&["version"]).contains("Server"), "{}", docker.version());
        let info = docker.ok(&["info"]);
        assert!(info.contains("Storage Driver") && info.contains("Kernel Version"), "{info}");
    }
}

#[test]
fn run_exits_with_the_containers_code() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let finished = docker.run(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"]);
        assert_eq!(
            (finished.code, finished.stdout.as_str(), finished.stderr.as_str()),
            (3, "out\n", "err\n")
        );
        for _ in 0..5 {
            assert_eq!(docker.ok(&["run", "--rm", "busybox", "echo", "hi"]), "hi");
        }
        assert_eq!(docker.ok(&["ps", "-aq"]), "", "--rm leaves nothing");
    }
}

#[test]
fn run_with_input_is_exact_and_ends() {
    let engine = Engine::start();
    let input: Vec<u8> =
        (0..200_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 1).collect();
    for docker in clients(&engine) {
        let finished = docker.run_with_input(&["run", "--rm", "-i", "busybox", "md5sum"], &input);
        let local = docker_free_sum(&input);
        assert_eq!(finished.stdout.split_whitespace().next(), Some(local.as_str()), "{finished:?}");
        let finished = docker.run_with_input(&["run", "--rm", "-i", "busybox", "cat"], b"a\nb\n\nno end");
        assert_eq!(finished.stdout, "a\nb\n\nno end");
    }
}

/// The same sum by the host's own busybox.
fn docker_free_sum(input: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("/bin/busybox")
        .arg("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("busybox");
    child.stdin.take().expect("stdin").write_all(input).expect("the bytes");
    let output = child.wait_with_output().expect("the sum");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn a_failing_start_exits_as_docker_does_and_never_hangs() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        for (command, code) in [("nosuch", 127), ("/etc/passwd", 126), ("/no/such", 127)] {
            for options in [&["run"][..], &["run", "--rm"], &["run", "-d"], &["run", "--rm", "-i"]] {
                let mut arguments = options.to_vec();
                arguments.extend(["busybox", command]);
                let finished = docker.run(&arguments);
                assert_eq!(finished.code, code, "{arguments:?} of {}: {finished:?}", docker.version());
            }
        }
        let finished = docker.run(&["run", "--rm", "nosuchimage:tag", "true"]);
        assert_eq!(finished.code, 125, "{finished:?}");
        for id in docker.ok(&["ps", "-aq"]).lines() {
            let _ = docker.ok(&["rm", id]);
        }
    }
}

#[test]
fn a_terminal_session_with_resize_and_keys() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let mut terminal = docker.terminal(&["run", "-it", "--rm", "--name", "term", "busybox", "sh"]);
        terminal.expect("# ");
        wait::until("the size", || {
            terminal.enter("stty size");
            terminal.expect("# ").contains("24 80").then_some(())
        });
        wait::until("the new size", || {
            // The client may not listen yet for what the first change brings about.
            terminal.resize(33, 110);
            terminal.resize(33, 111);
            terminal.enter("stty size");
            terminal.expect("# ").contains("33 111").then_some(())
        });
        terminal.enter("sleep 100");
        std::thread::sleep(std::time::Duration::from_millis(300));
        terminal.send(b"\x03");
        terminal.expect("# ");
        terminal.send(b"exit 7\n");
        let (status, _) = terminal.finish();
        assert_eq!(status.code(), Some(7));
    }
}

#[test]
fn detach_and_attach_again() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let mut terminal = docker.terminal(&["run", "-it", "--name", "detached", "busybox", "sh"]);
        terminal.expect("# ");
        terminal.send(b"word=kept\n");
        terminal.expect("# ");
        terminal.send(b"\x10\x11");
        let (status, seen) = terminal.finish();
        assert_eq!(status.code(), Some(0), "{seen}");
        assert_eq!(docker.ok(&["inspect", "-f", "{{.State.Running}}", "detached"]), "true");
        let mut again = docker.terminal(&["attach", "detached"]);
        wait::until("the shell", || {
            again.enter("echo is $word");
            again.expect("# ").contains("is kept").then_some(())
        });
        again.send(b"exit 4\n");
        let (status, _) = again.finish();
        assert_eq!(status.code(), Some(4));
        let _ = docker.ok(&["rm", "detached"]);
    }
}

#[test]
fn create_start_attach_wait() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let id = docker.ok(&["create", "-i", "busybox", "sh", "-c", "read line; echo got $line; exit 5"]);
        let finished = docker.run_with_input(&["start", "-a", "-i", &id], b"input\n");
        assert_eq!((finished.code, finished.stdout.as_str()), (5, "got input\n"), "{finished:?}");
        assert_eq!(docker.ok(&["wait", &id]), "5");
        let _ = docker.ok(&["rm", &id]);
        let script = "until [ -e /go ]; do echo waiting; sleep 0.1; done; echo late; exit 6";
        let id = docker.ok(&["run", "-d", "busybox", "sh", "-c", script]);
        let mut attached = docker.start(&["attach", &id]);
        let mut output = std::io::BufReader::new(attached.stdout.take().expect("its output"));
        let mut seen = String::new();
        output.read_line(&mut seen).expect("a line");
        assert_eq!(engine.exec(&id, &["touch", "/go"]).code, 0);
        output.read_to_string(&mut seen).expect("the rest");
        assert!(seen.starts_with("waiting\n") && seen.ends_with("waiting\nlate\n"), "{seen}");
        assert_eq!(attached.wait().expect("its end").code(), Some(6));
        let _ = docker.ok(&["rm", &id]);
    }
}

#[test]
fn logs_of_all_kinds() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let id =
            docker.ok(&["run", "-d", "busybox", "sh", "-c", "seq 1 20; echo err >&2; sleep 0.5; echo end"]);
        let followed = docker.run(&["logs", "-f", &id]);
        assert!(
            followed.stdout.starts_with("1\n2\n") && followed.stdout.ends_with("20\nend\n"),
            "{followed:?}"
        );
        assert_eq!(followed.stderr, "err\n");
        assert_eq!(docker.ok(&["logs", "--tail", "1", &id]), "end");
        assert!(docker.ok(&["logs", "-t", "--tail", "1", &id]).contains("Z end"));
        let _ = docker.ok(&["rm", &id]);
    }
}

#[test]
fn execs_of_all_kinds() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let id = sleeper(&docker, "execs");
        let finished = docker.run(&["exec", "execs", "sh", "-c", "echo out; echo err >&2; exit 9"]);
        assert_eq!(
            (finished.code, finished.stdout.as_str(), finished.stderr.as_str()),
            (9, "out\n", "err\n")
        );
        let finished = docker.run_with_input(&["exec", "-i", "execs", "cat"], b"piped\n");
        assert_eq!((finished.code, finished.stdout.as_str()), (0, "piped\n"));
        let _ = docker.ok(&["exec", "-d", "execs", "touch", "/made"]);
        wait::until("the file", || (docker.run(&["exec", "execs", "ls", "/made"]).code == 0).then_some(()));
        assert_eq!(docker.ok(&["exec", "-u", "alice", "execs", "id", "-un"]), "alice");
        assert_eq!(docker.run(&["exec", "execs", "nosuch"]).code, 127);
        assert_eq!(docker.run(&["exec", "execs", "/etc/passwd"]).code, 126);
        let mut terminal = docker.terminal(&["exec", "-it", "execs", "sh"]);
        terminal.expect("# ");
        terminal.send(b"tty\n");
        terminal.expect("/dev/pts/");
        terminal.expect("# ");
        terminal.send(b"exit 11\n");
        assert_eq!(terminal.finish().0.code(), Some(11));
        let _ = docker.ok(&["rm", "-f", &id]);
    }
}

#[test]
fn lists_and_filters() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let id = sleeper(&docker, "runs");
        let exited =
            docker.run(&["run", "--name", "ended", "--label", "kind=short", "busybox", "sh", "-c", "exit 3"]);
        assert_eq!(exited.code, 3);
        assert_eq!(docker.ok(&["ps", "-q", "--no-trunc"]), id);
        assert_eq!(docker.ok(&["ps", "-a", "--format", "{{.Names}}"]), "ended\nruns");
        assert_eq!(docker.ok(&["ps", "-l", "--format", "{{.Names}}"]), "ended");
        assert_eq!(docker.ok(&["ps", "-n", "1", "--format", "{{.Names}}"]), "ended");
        assert!(docker.ok(&["ps", "-a", "-s"]).contains("virtual"));
        for filter in ["status=exited", "exited=3", "label=kind", "label=kind=short"] {
            assert_eq!(
                docker.ok(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]),
                "ended",
                "{filter}"
            );
        }
        let table = docker.ok(&["ps", "-a"]);
        assert!(table.contains("Exited (3)") && table.contains("Up "), "{table}");
        assert!(docker.ok(&["images"]).contains("busybox"));
        assert_eq!(
            docker.ok(&["inspect", "-f", "{{.State.ExitCode}} {{.Config.Image}}", "ended"]),
            "3 busybox"
        );
        let _ = docker.ok(&["rm", "-f", "runs", "ended"]);
    }
}

#[test]
fn signals_and_states() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let state = |name: &str| {
            docker.ok(&["inspect", "-f", "{{.State.Running}} {{.State.Paused}} {{.State.ExitCode}}", name])
        };
        let id = sleeper(&docker, "first");
        assert_eq!(docker.ok(&["pause", "first"]), "first");
        assert_eq!(state("first"), "true true 0");
        assert_eq!(docker.ok(&["unpause", "first"]), "first");
        assert_eq!(docker.ok(&["rename", "first", "second"]), "");
        assert_eq!(docker.ok(&["restart", "-t", "0", "second"]), "second");
        assert_eq!(state("second"), "true false 0");
        assert_eq!(docker.ok(&["stop", "-t", "0", "second"]), "second");
        assert_eq!(state("second"), "false false 137");
        assert_eq!(docker.ok(&["start", "second"]), "second");
        assert_eq!(docker.ok(&["kill", "-s", "KILL", "second"]), "second");
        assert_eq!(docker.ok(&["wait", "second"]), "137");
        assert_eq!(docker.ok(&["rm", "-v", &id]), id);
        let finished = docker.run(&["rm", "nosuch"]);
        assert_eq!(finished.code, 1);
        assert!(finished.stderr.contains(": nosuch"), "{finished:?}");
    }
}

#[test]
fn events_are_shown_as_they_happen() {
    let engine = Engine::start();
    for (number, docker) in clients(&engine).iter().enumerate() {
        let label = format!("watched={number}");
        let marker = docker.ok(&["create", "--label", &label, "busybox", "true"]);
        // With the past: the marker shows when the client has begun to listen.
        let arguments = ["events", "--since", "0", "--filter", &format!("label={label}")];
        let mut watching = docker.start(&arguments);
        let (shown, lines) = std::sync::mpsc::channel();
        let output = std::io::BufReader::new(watching.stdout.take().expect("its output"));
        let reading = std::thread::spawn(move || output.lines().try_for_each(|line| shown.send(line)));
        let until = |wanted: &str| {
            let mut seen = String::new();
            while !seen.contains(wanted) {
                let line = lines.recv_timeout(wait::TIMEOUT);
                let line = line.unwrap_or_else(|_| panic!("no {wanted} in {seen:?}"));
                seen.push_str(&line.expect("a line"));
            }
            seen
        };
        let _ = until(&marker);
        let _ = docker.ok(&["run", "--rm", "--label", &label, "busybox", "true"]);
        let seen = until("destroy");
        watching.kill().expect("the client to end");
        let _ = watching.wait().expect("the client's end");
        let _ = reading.join();
        for action in ["create", "start", "die", "destroy"] {
            assert!(seen.contains(action), "{action} in {seen:?}");
        }
    }
}

#[test]
fn options_of_run_take_effect() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        assert_eq!(docker.ok(&["run", "--rm", "-e", "A=b c", "busybox", "sh", "-c", "echo $A"]), "b c");
        assert_eq!(docker.ok(&["run", "--rm", "-w", "/tmp", "busybox", "pwd"]), "/tmp");
        assert_eq!(docker.ok(&["run", "--rm", "-u", "alice", "busybox", "id", "-u"]), "1000");
        assert_eq!(docker.ok(&["run", "--rm", "-h", "named", "busybox", "hostname"]), "named");
        assert_eq!(docker.ok(&["run", "--rm", "--entrypoint", "echo", "busybox", "x"]), "x");
        assert_eq!(docker.ok(&["run", "--rm", "--net", "none", "busybox", "ls", "/sys/class/net"]), "lo");
        assert_eq!(docker.ok(&["run", "--rm", "-m", "32m", "busybox", "true"]), "");
        assert_eq!(
            docker.ok(&[
                "run",
                "--rm",
                "--read-only",
                "busybox",
                "sh",
                "-c",
                "touch /x 2>/dev/null || echo no"
            ]),
            "no"
        );
        assert_eq!(
            docker.ok(&[
                "run",
                "--rm",
                "--device",
                "/dev/zero:/dev/nothing",
                "busybox",
                "sh",
                "-c",
                "head -c 3 /dev/nothing | wc -c"
            ]),
            "3"
        );
        assert_eq!(
            docker.run(&["run", "--rm", "--cap-drop", "ALL", "busybox", "chown", "1", "/tmp"]).code,
            1
        );
    }
}

#[test]
fn ctrl_c_ends_an_attached_container_that_listens() {
    let engine = Engine::start();
    for docker in clients(&engine) {
        let arguments = [
            "run",
            "--rm",
            "--name",
            "interrupted",
            "busybox",
            "sh",
            "-c",
            "trap 'echo bye; exit 3' INT; echo ready; while :; do sleep 0.1; done",
        ];
        let client = docker.start(&arguments);
        wait::until("the container", || {
            docker.run(&["logs", "interrupted"]).stdout.contains("ready").then_some(())
        });
        let pid = rustix::process::Pid::from_child(&client);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the client to interrupt");
        let finished = docker.finish(client, &arguments);
        assert!(finished.stdout.contains("bye"), "{finished:?}");
        assert_eq!(finished.code, 3, "{finished:?}");
    }
}

#[test]
fn files_and_a_build_of_nothing() {
    let engine = Engine::start();
    let (there, back) = (engine.directory().join("there"), engine.directory().join("back"));
    std::fs::write(&there, "content\n").expect("a file");
    for docker in clients(&engine) {
        let id = sleeper(&docker, "files");
        let _ = docker.ok(&["cp", &there.display().to_string(), "files:/tmp/put"]);
        assert_eq!(docker.ok(&["exec", "files", "cat", "/tmp/put"]), "content");
        let _ = docker.ok(&["cp", "files:/tmp/put", &back.display().to_string()]);
        assert_eq!(std::fs::read_to_string(&back).expect("the copy"), "content\n");
        let _ = docker.ok(&["rm", "-f", &id]);
        let finished =
            docker.run_with_input(&["build", "-t", "built", "-"], b"FROM busybox\nLABEL made=cli\n");
        assert!(finished.code == 0 && finished.stdout.contains("Successfully built"), "{finished:?}");
        assert_eq!(docker.ok(&["inspect", "-f", "{{.Config.Labels.made}}", "built"]), "cli");
        let _ = docker.ok(&["rmi", "built"]);
    }
}
