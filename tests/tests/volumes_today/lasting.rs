//! Volumes over the death of the daemon.

use super::*;

#[test]
fn volumes_outlive_the_daemon_with_all_that_is_said_of_them() {
    let mut engine = Today::start();
    let named = volume(&engine, json!({ "Name": "data", "Labels": { "a": "b" } }));
    let made_up = volume(&engine, json!({}));
    assert_eq!(engine.output(&on("data", "echo kept > /v/file")).code, 0);
    engine.daemon.replace_daemon();
    assert_eq!(shown(&engine, "data"), named);
    assert_eq!(shown(&engine, made_up["Name"].as_str().expect("a name")), made_up);
    assert_eq!(engine.output(&on("data", "cat /v/file")).stdout, "kept\n");
    let _ = engine.delete("/volumes/data").expect(204);
    engine.daemon.replace_daemon();
    let _ = engine.get("/volumes/data").expect(404);
    assert!(!engine.daemon.data_root().join("volumes/data").exists());
}

/// Makes volumes and removes every other one until the daemon is gone; gives what it acknowledged: those that are
/// there, and those that are not.
fn make_and_remove(client: &Client, round: usize) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    let status = |method: &str, path: &str, body: &Value| {
        let json = [("Content-Type", "application/json")];
        client.attempt(method, path, &json, body.to_string().as_bytes()).ok().map(|answer| answer.status())
    };
    for number in 0.. {
        let name = format!("data-{round}-{number}");
        if status("POST", "/volumes/create", &json!({ "Name": name })) != Some(201) {
            break;
        }
        if number % 2 == 0 {
            kept.push(name);
        } else if status("DELETE", &format!("/volumes/{name}"), &json!({})) == Some(204) {
            gone.push(name);
        } else {
            // It may be there or not: the daemon reported neither.
            break;
        }
    }
    (kept, gone)
}

#[test]
fn what_a_killed_daemon_acknowledged_holds_and_nothing_else_is_left() {
    let mut engine = Today::start();
    let volumes = engine.daemon.data_root().join("volumes");
    let on_disk = || -> Vec<String> {
        let entries = std::fs::read_dir(&volumes).expect("the directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    for round in 0..4 {
        let before = on_disk().len();
        let client = engine.at("1.55");
        let making = std::thread::spawn(move || make_and_remove(&client, round));
        berth_tests::wait::until("some volumes", || (on_disk().len() > before + 3 + round).then_some(()));
        engine.daemon.kill_daemon();
        let (kept, gone) = making.join().expect("its volumes");
        engine.daemon.start_daemon();
        let there = listed(&engine, json!({}));
        assert!(kept.iter().all(|name| there.contains(name)), "{kept:?} are not all among {there:?}");
        assert!(!gone.iter().any(|name| there.contains(name)), "of {gone:?} some are among {there:?}");
        assert_eq!(on_disk(), there);
    }
}
