//! `GET /containers/(id)/top`: the host's view of a container's processes.

use std::process::Command;

use berth_tests::{Engine, query, sh, wait};
use serde_json::{Value, json};

/// The rows of an answer.
fn rows(top: &Value) -> Vec<Vec<String>> {
    serde_json::from_value(top["Processes"].clone()).expect("rows of strings")
}

fn titles(top: &Value) -> Vec<String> {
    serde_json::from_value(top["Titles"].clone()).expect("strings")
}

fn top(engine: &Engine, id: &str, arguments: &str) -> Value {
    let path = format!("/containers/{id}/top{}", query(&[("ps_args", arguments)]));
    engine.get(&path).expect(200).json()
}

/// A container with two processes, both there.
fn two_sleepers(engine: &Engine, more: Value) -> String {
    let id = engine.run(&berth_tests::merged(sh("sleep 601 & exec sleep 602"), more));
    wait::until("both processes", || {
        let text = top(engine, &id, "")["Processes"].to_string();
        (text.contains("sleep 601") && text.contains("\"sleep 602")).then_some(())
    });
    id
}

/// The minute of a day that `22:53` names.
fn minutes(clock: &str) -> u32 {
    let (hours, minutes) = clock.split_once(':').expect("hours and minutes");
    hours.parse::<u32>().expect("hours") * 60 + minutes.parse::<u32>().expect("minutes")
}

#[test]
fn the_usual_columns_are_those_of_ps() {
    let engine = Engine::start();
    let id = two_sleepers(&engine, json!({ "User": "1:1" }));
    let terminal = engine.run(&json!({ "Image": "busybox", "Tty": true, "Cmd": ["sleep", "605"] }));
    let odd = ["sh", "-c", "sleep 606; :", "a\nb\tc", "é", "  two  spaces", ")"];
    let shell = engine.run(&json!({ "Image": "busybox", "Cmd": odd }));
    wait::until("the shell's child", || {
        rows(&top(&engine, &shell, "")).iter().any(|row| row[7] == "sleep 606").then_some(())
    });
    for container in [&id, &terminal, &shell] {
        let by_default = engine.get(&format!("/containers/{container}/top")).expect(200).json();
        assert_eq!(titles(&by_default), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        assert_eq!(titles(&top(&engine, container, "-ef")), titles(&by_default));
        let rows = rows(&by_default);
        assert!(!rows.is_empty());
        for row in rows {
            let pid = row[1].as_str();
            let output = Command::new("ps").env("LC_ALL", "C.UTF-8").args(["-fp", pid]).output();
            let shown = String::from_utf8(output.expect("ps (procps)").stdout).expect("text");
            let line = shown.lines().nth(1).unwrap_or_else(|| panic!("no process {pid}: {row:?}"));
            // The share of the processor changes between the two, and ps does not see a terminal that only
            // the container has.
            let mut words: Vec<&str> = line.split_whitespace().take(7).collect();
            (words[3], words[5]) = (&row[3], &row[5]);
            // A second next to a full minute is rounded either way.
            assert!(
                [0, 1, 1439].contains(&minutes(words[4]).abs_diff(minutes(&row[4]))),
                "{row:?} instead of {line}"
            );
            words[4] = &row[4];
            assert_eq!(row[..7], words, "{line}");
            assert!(line.ends_with(&row[7]), "{row:?} instead of {line}");
        }
    }
    let users = rows(&top(&engine, &id, ""));
    assert!(users.iter().all(|row| row[0] == "daemon"), "the host's names: {users:?}");
    assert!(rows(&top(&engine, &terminal, ""))[0][5].starts_with("pts/"));
}

#[test]
fn columns_as_they_are_asked_for() {
    let engine = Engine::start();
    let id = two_sleepers(&engine, json!({}));
    let pid = engine.pid(&id).to_string();
    let table = |arguments: &str| {
        let top = top(&engine, &id, arguments);
        (titles(&top), rows(&top))
    };
    let (titles, processes) = table("aux");
    assert_eq!(titles.join(" "), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
    assert_eq!(processes.len(), 2);
    for arguments in ["-eo pid,args", "-e -o pid -o args", "axo pid,args", "-o pid,args -e"] {
        let (titles, processes) = table(arguments);
        assert_eq!(titles, ["PID", "COMMAND"], "{arguments}");
        assert!(processes.contains(&vec![pid.clone(), "sleep 602".to_owned()]), "{arguments}: {processes:?}");
        assert_eq!(processes.len(), 2, "{arguments}");
    }
    for arguments in ["-eo args,pid", "-eo ppid,comm,pid", "-eo lstart,pid", "-eo start,user,pid"] {
        let (titles, processes) = table(arguments);
        assert_eq!(titles.last().map(String::as_str), Some("PID"), "{arguments}");
        assert!(processes.iter().any(|row| row.last() == Some(&pid)), "{arguments}: {processes:?}");
        assert!(processes.iter().all(|row| row.len() == titles.len()), "{arguments}: {processes:?}");
    }
    let (titles, processes) = table("-L -ef");
    assert!(titles.contains(&"LWP".to_owned()) && processes.len() == 2, "{titles:?} {processes:?}");
}

#[test]
fn the_processes_are_shown_whatever_the_arguments_select() {
    let engine = Engine::start();
    let id = two_sleepers(&engine, json!({}));
    let pid = engine.pid(&id).to_string();
    for arguments in [
        "o pid,cmd",
        "a -o pid",
        "f",
        "l",
        "u",
        "v",
        "m",
        "H",
        "-C nosuch",
        "-o pid,cmd -u nobody",
        "a",
        "-f",
        "1",
        "-1",
        "99999",
        "t",
        "T",
        "aux 1",
    ] {
        let top = top(&engine, &id, arguments);
        let place = titles(&top).iter().position(|title| title == "PID").expect("a column of pids");
        let pids: Vec<String> = rows(&top).into_iter().map(|row| row[place].clone()).collect();
        assert_eq!(pids.iter().filter(|shown| **shown != "-").count(), 2, "{arguments}: {pids:?}");
        assert!(pids.contains(&pid), "{arguments}: {pids:?}");
    }
}

#[test]
fn a_terminal_of_the_container_s_own_hides_none_of_its_processes() {
    let engine = Engine::start();
    let id = engine.run(&json!({ "Image": "busybox", "Tty": true, "Cmd": ["sleep", "605"] }));
    for arguments in ["1", "t", "T", "a", "x", "-f", "u", "-d"] {
        let shown = rows(&top(&engine, &id, arguments));
        assert_eq!(shown.len(), 1, "{arguments}: {shown:?}");
    }
}

#[test]
fn headings_are_never_shown_alone() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for arguments in ["-N -e", "r", "-q 1"] {
        let path = format!("/containers/{id}/top{}", query(&[("ps_args", arguments)]));
        let wanted = format!("Error running ps: {arguments:?} selects no process of the container\n");
        assert_eq!(engine.get(&path).expect(500).text(), wanted);
    }
}

#[test]
fn arguments_that_ps_refuses_are_told_with_its_words() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let ask = |arguments: &str| {
        let path = format!("/containers/{id}/top{}", query(&[("ps_args", arguments)]));
        engine.get(&path).expect(500).text()
    };
    for arguments in ["-o args", "-eo uid", "-eo pid=x,args", "--no-headers -ef"] {
        assert_eq!(ask(arguments), "Couldn't find PID field in ps output\n", "{arguments}");
    }
    for arguments in ["--nosuch", "zzz", "-e ; id", "$(id)"] {
        let text = ask(arguments);
        assert!(text.starts_with("Error running ps: exit status 1: "), "{arguments}: {text}");
        assert!(text.ends_with('\n') && text.lines().count() == 1 && text.contains("error"), "{text}");
    }
}

#[test]
fn frozen_containers_and_those_in_the_host_s_namespace() {
    let engine = Engine::start();
    let id = two_sleepers(&engine, json!({ "HostConfig": { "PidMode": "host" } }));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    for arguments in ["", "aux"] {
        assert_eq!(rows(&top(&engine, &id, arguments)).len(), 2, "its own processes, not the host's");
    }
    let exec_free = engine.run(&sh("sleep 600"));
    let before = rows(&top(&engine, &exec_free, "")).len();
    let exec = engine.exec_create(&exec_free, &json!({ "Cmd": ["sleep", "607"] }));
    let _ = engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200);
    wait::until("the exec's process", || (rows(&top(&engine, &exec_free, "")).len() > before).then_some(()));
}

#[test]
fn what_does_not_run_has_no_processes() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    for arguments in ["", "?ps_args=--nosuch"] {
        let answer = engine.get(&format!("/containers/{id}/top{arguments}")).expect(500);
        assert_eq!(answer.text(), format!("Container {id} is not running\n"));
    }
    engine.start(&id);
    let _ = engine.wait(&id);
    let answer = engine.get(&format!("/containers/{id}/top")).expect(500);
    assert_eq!(answer.text(), format!("Container {id} is not running\n"));
    assert_eq!(engine.get("/containers/nosuch/top").expect(404).text(), "no such id: nosuch\n");
    let waiting = engine.run(&berth_tests::merged(
        sh("exit 4"),
        json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } }),
    ));
    wait::until("a restart that waits", || (engine.state(&waiting, "Restarting") == true).then_some(()));
    // It may be running again for a moment.
    let answer = engine.get(&format!("/containers/{waiting}/top"));
    if answer.status() != 200 {
        assert_eq!(answer.expect(500).text(), format!("Container {waiting} is not running\n"));
    }
}
