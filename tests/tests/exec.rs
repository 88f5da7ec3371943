//! Further processes in a running container.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use berth_tests::frames;
use berth_tests::host::parent_of;
use berth_tests::silent_mount::SilentMount;
use berth_tests::volumes::{HostDirectory, with_binds};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::json;

#[test]
fn a_command_runs_and_leaves_its_code() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo present > /file; sleep 600"));
    let output = engine.exec(&id, &["sh", "-c", "cat /file; echo err >&2; exit 6"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (6, "present\n", "err\n"));
}

#[test]
fn stdin_is_passed_and_ends() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body = json!({ "AttachStdin": true, "AttachStdout": true, "Cmd": ["sh", "-c", "cat; echo end"] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({}));
    stream.send(b"line\n").expect("stdin");
    stream.half_close().expect("the end of stdin");
    let bytes = stream.read_to_end().expect("the stream's end");
    assert_eq!(frames::split(&bytes).0, b"line\nend\n");
}

/// docker-py reads the head by a buffer and the stream beside it: what came with the head is lost to it.
#[test]
fn output_does_not_come_before_a_slow_client_has_read_the_head() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["echo", "hi"] }));
    let mut client = UnixStream::connect(engine.socket()).expect("a connection");
    let request = format!(
        "POST /v1.20/exec/{exec}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    client.write_all(request.as_bytes()).expect("the request");
    wait::until("the exec's end", || {
        // Since 1.24 one that has not begun has no code.
        let inspected = engine.at("1.24").get(&format!("/exec/{exec}/json")).expect(200).json();
        (inspected["Running"] == false && inspected["ExitCode"] == 0).then_some(())
    });
    let mut head = vec![0; 8192];
    let count = client.read(&mut head).expect("the head");
    assert!(head[..count].ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&head[..count]));
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).expect("the stream");
    assert_eq!(frames::split(&rest).0, b"hi\n");
}

#[test]
fn without_upgrade_the_answer_is_200() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["echo", "hi"] }));
    let json = [("Content-Type", "application/json")];
    let (head, mut stream) = engine.open("POST", &format!("/exec/{exec}/start"), &json, b"{}");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/vnd.docker.raw-stream"));
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"hi\n");
}

#[test]
fn a_terminal_is_one_raw_stream() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let script = "tty; echo err >&2; read line; echo got $line";
    let body = json!({ "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true,
                       "Cmd": ["sh", "-c", script] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({ "Tty": true }));
    let seen = stream.read_until(b"err\r\n").expect("the first lines");
    assert!(String::from_utf8_lossy(&seen).starts_with("/dev/pts/"), "{seen:?}");
    stream.send(b"x\n").expect("stdin");
    stream.read_until(b"got x\r\n").expect("the echo");
}

#[test]
fn the_start_decides_whether_the_stream_has_frames() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body = |tty: bool| json!({ "AttachStdout": true, "Tty": tty, "Cmd": ["echo", "fine"] });
    let exec = engine.exec_create(&id, &body(true));
    let bytes = engine.exec_start(&exec, &json!({ "Tty": false })).read_to_end().expect("the stream");
    assert_eq!(bytes, b"\x01\0\0\0\0\0\0\x06fine\r\n");
    let exec = engine.exec_create(&id, &body(false));
    let bytes = engine.exec_start(&exec, &json!({ "Tty": true })).read_to_end().expect("the stream");
    assert_eq!(bytes, b"fine\n");
}

#[test]
fn detached_it_runs_on_its_own() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = engine
        .exec_create(&id, &json!({ "Cmd": ["sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 8"] }));
    let _ = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200);
    let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(inspected["Running"], true);
    assert_eq!(engine.exec(&id, &["touch", "/go"]).code, 0);
    let code = wait::until("the exec's end", || {
        let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
        (inspected["Running"] == false).then(|| inspected["ExitCode"].clone())
    });
    assert_eq!(code, 8);
}

#[test]
fn inspect_shows_the_process_and_its_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body =
        json!({ "AttachStdout": true, "AttachStderr": true, "User": "alice", "Cmd": ["echo", "a", "b"] });
    let exec = engine.exec_create(&id, &body);
    let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!(inspected["ID"], exec.as_str());
    assert_eq!(inspected["Running"], false);
    let process = &inspected["ProcessConfig"];
    assert_eq!((&process["entrypoint"], &process["arguments"]), (&json!("echo"), &json!(["a", "b"])));
    assert_eq!(
        (&process["tty"], &process["user"], &process["privileged"]),
        (&json!(false), &json!("alice"), &json!(false))
    );
    assert_eq!(
        (&inspected["OpenStdout"], &inspected["OpenStderr"], &inspected["OpenStdin"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!(inspected["Container"]["ID"], id.as_str());
    assert_eq!(engine.inspect(&id)["ExecIDs"], json!([exec]));
}

#[test]
fn users_groups_environment_and_directory_are_the_containers() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("sleep 600"), json!({ "Env": ["A=from config"], "WorkingDir": "/tmp" })));
    let run = |user: &str, script: &str| {
        let body = json!({ "AttachStdout": true, "User": user, "Cmd": ["sh", "-c", script] });
        let exec = engine.exec_create(&id, &body);
        let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
        String::from_utf8_lossy(&frames::split(&bytes).0).into_owned()
    };
    assert_eq!(run("", "id -u; pwd; echo $A"), "0\n/tmp\nfrom config\n");
    assert_eq!(run("alice", "id -u; id -g; echo $HOME"), "1000\n1000\n/home/alice\n");
    assert!(run("alice", "id -G").split_whitespace().any(|group| group == "2000"), "the image's groups");
    assert_eq!(run("1000:100", "id -u; id -g"), "1000\n100\n");
    assert_eq!(run("4242", "id -u"), "4242\n");
}

#[test]
fn a_command_that_cannot_run_says_why() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for (command, words, code) in [
        ("nosuch", "executable file not found in $PATH", 127),
        ("/no/such", "stat /no/such: no such file or directory", 127),
        ("/etc/passwd", "permission denied", 126),
    ] {
        let exec = engine.exec_create(
            &id,
            &json!({ "AttachStdout": true, "AttachStderr": true, "Tty": true, "Cmd": [command] }),
        );
        let bytes = engine.exec_start(&exec, &json!({ "Tty": true })).read_to_end().expect("the end");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text, format!("exec: \"{command}\": {words}\n"));
        let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
        assert_eq!((&inspected["ExitCode"], &inspected["Running"]), (&json!(code), &json!(false)));
    }
}

#[test]
fn unknown_and_finished_execs_are_refused() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let _ = engine.get("/exec/nosuch/json").expect(404);
    let _ = engine.post_json("/exec/nosuch/start", &json!({})).expect(404);
    let _ = engine.post_json("/exec/nosuch/start", &json!({ "Detach": true })).expect(404);
    let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["true"] }));
    let _ = engine.exec_start(&exec, &json!({})).read_to_end();
    let _ = engine.post_json(&format!("/exec/{exec}/start"), &json!({})).expect(409);
}

#[test]
fn bad_requests_are_refused() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let path = format!("/containers/{id}/exec");
    for body in [json!({}), json!({ "Cmd": [] }), json!({ "Cmd": null })] {
        let answer = engine.post_json(&path, &body);
        assert_eq!(answer.status(), 500, "{body}: {}", answer.status());
        assert_eq!(answer.text(), "No exec command specified\n", "{body}");
    }
    for body in [json!([]), json!({ "Cmd": 5 }), json!({ "Cmd": [1] }), json!({ "Cmd": ["x"], "Tty": "yes" })]
    {
        let answer = engine.post_json(&path, &body);
        assert_eq!(answer.status(), 500, "{body}: {} {}", answer.status(), answer.text());
    }
    let answer = engine.call("POST", &path, &[("Content-Type", "text/plain")], b"{}");
    assert_eq!(answer.text(), "Content-Type specified (text/plain) must be 'application/json'\n");
    let answer = engine.post_json("/containers/nosuch/exec", &json!({ "Cmd": ["x"] })).expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
    let created = engine.create(&sh("true"));
    let answer =
        engine.post_json(&format!("/containers/{created}/exec"), &json!({ "Cmd": ["x"] })).expect(500);
    assert_eq!(answer.text(), format!("Container {created} is not running\n"));
}

#[test]
fn an_exec_ends_with_its_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["sleep", "600"] }));
    let mut stream = engine.exec_start(&exec, &json!({}));
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || stream.read_to_end());
        wait::until("the exec to run", || {
            let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
            (inspected["Running"] == true).then_some(())
        });
        let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
        let _ = reading.join().expect("the reader").expect("the stream ends");
    });
}

#[test]
fn many_at_once() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (engine, id) = (&engine, &id);
            scope.spawn(move || {
                let text = format!("echo {number}; exit {number}");
                let output = engine.exec(id, &["sh", "-c", &text]);
                assert_eq!((output.code, output.stdout), (number, format!("{number}\n")));
            });
        }
    });
}

#[test]
fn arguments_and_variables_as_long_as_the_kernel_takes_them() {
    let engine = Engine::start();
    let long = |letter: &str| letter.repeat(100_000);
    let variables = [format!("ONE={}", long("1")), format!("TWO={}", long("\""))];
    let id = engine.run(&merged(sh("sleep 600"), json!({ "Env": variables })));
    let output = engine.exec(&id, &["sh", "-c", "echo ${#ONE} ${#TWO}"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, "100000 100000\n"));
    let (one, two) = (long("x"), long("y"));
    let script = "echo ${#1} ${#2} ${#ONE}";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let output = engine.exec(&id, &["sh", "-c", script, "sh", &one, &two]);
                assert_eq!((output.code, output.stdout.as_str()), (0, "100000 100000 100000\n"));
            });
        }
    });
    // One that is longer than the kernel takes is refused by the kernel.
    let too_long = "z".repeat(200_000);
    let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "Cmd": ["echo", too_long] }));
    let answer = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true }));
    assert!(answer.text().contains("argument list too long"), "{}", answer.text());
    assert_eq!(engine.get(&format!("/exec/{exec}/json")).expect(200).json()["ExitCode"], 126);
    assert_eq!(engine.exec(&id, &["true"]).code, 0);
}

#[test]
fn an_exec_that_waits_for_a_file_system_holds_nothing_of_the_shims() {
    let host = HostDirectory::new("etc");
    host.mount(&["-t", "tmpfs", "berth-test", "."]);
    host.mount(&["--make-shared", "."]);
    std::fs::write(host.0.join("passwd"), "root:x:0:0::/:/bin/sh\n").expect("a file");
    let engine = &Engine::start();
    let binds = [format!("{}:/etc:rslave", host.0.display())];
    let id = &engine.run(&with_binds("sleep 600", &binds));
    let init = engine.pid(id);
    let shim = parent_of(init).expect("its shim");
    let exec = engine.exec_create(id, &json!({ "Cmd": ["true"], "User": "nobody" }));
    let mut silent = SilentMount::at(host.0.clone());
    std::thread::scope(|scope| {
        let started =
            scope.spawn(|| engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true })));
        silent.await_looks(1);
        let children = format!("/proc/{shim}/task/{shim}/children");
        let children = std::fs::read_to_string(children).expect("its children");
        let helpers: Vec<u32> =
            children.split_whitespace().flat_map(str::parse).filter(|child| *child != init).collect();
        assert_eq!(helpers.len(), 1, "{children}");
        let files = std::fs::read_dir(format!("/proc/{}/fd", helpers[0])).expect("its files").flatten();
        let files: Vec<_> = files.map(|file| std::fs::read_link(file.path()).expect("a file")).collect();
        assert!(!files.iter().any(|file| file.as_os_str() == "anon_inode:[eventpoll]"), "{files:?}");
        drop(silent);
        assert_ne!(started.join().expect("a client").status(), 200);
    });
    engine.remove(id);
}
