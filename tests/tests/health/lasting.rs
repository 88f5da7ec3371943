//! Health over the end of a run and over the end of a daemon.

use berth_tests::{Engine, merged, wait};
use serde_json::{Value, json};

use super::{MILLISECOND, checked, health, listed, results, told, until};

/// Counts its runs, and prints the number.
const COUNT: &str = "echo $(($(cat /n 2>/dev/null) + 1)) > /n; cat /n; test -f /ok";

fn number(result: &Value) -> u32 {
    let number = result["Output"].as_str().and_then(|text| text.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no number: {result}"))
}

#[test]
fn checks_go_on_without_a_daemon_and_the_next_one_shows_what_they_found() {
    let mut engine = Engine::start();
    let id = engine.at("1.55").run(&checked(&["CMD-SHELL", COUNT], json!({})));
    until(&engine.at("1.55"), &id, "unhealthy");
    let words = ["unhealthy", "healthy", "unhealthy"].map(|status| format!("health_status: {status}"));
    for round in 0..2 {
        let today = engine.at("1.55");
        wait::until("what is told of the change", || (told(&today, &id) == words[..=round]).then_some(()));
        // Earlier notices are written before those of now: the kill loses none of them.
        engine.remove(&engine.create(&berth_tests::sh("true")));
        let counted = number(results(&today, &id, 1).last().expect("a result"));
        let root = format!("/proc/{}/root", engine.pid(&id));
        engine.kill_daemon();
        let change = if round == 0 { "touch" } else { "rm" };
        let changed = std::process::Command::new(change).arg(format!("{root}/ok")).status();
        assert!(changed.is_ok_and(|status| status.success()));
        wait::until("more probes", || {
            let text = std::fs::read_to_string(format!("{root}/n")).ok()?;
            (text.trim().parse::<u32>().ok()? > counted + 12).then_some(())
        });
        engine.start_daemon();
        let found = until(&engine.at("1.55"), &id, if round == 0 { "healthy" } else { "unhealthy" });
        let numbers: Vec<u32> = found["Log"].as_array().expect("results").iter().map(number).collect();
        assert_eq!(numbers.len(), 5, "{found}");
        assert!(
            numbers[0] > counted,
            "all are of the time without a daemon, or later: {numbers:?}, {counted}"
        );
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing: {numbers:?}");
    }
    wait::until("what the next daemon tells of the change", || {
        (told(&engine.at("1.55"), &id) == words).then_some(())
    });
}

#[test]
fn what_was_found_outlives_a_container_that_ends_without_a_daemon() {
    let mut engine = Engine::start();
    let body = merged(
        checked(&["CMD-SHELL", COUNT], json!({})),
        json!({ "Cmd": ["sh", "-c", "while ! test -f /end; do sleep 0.05; done; exit 7"] }),
    );
    let id = engine.at("1.55").run(&body);
    let counted = number(results(&engine.at("1.55"), &id, 2).last().expect("a result"));
    let pid = engine.pid(&id);
    let root = format!("/proc/{pid}/root");
    engine.kill_daemon();
    wait::until("more probes", || {
        let text = std::fs::read_to_string(format!("{root}/n")).ok()?;
        (text.trim().parse::<u32>().ok()? > counted + 8).then_some(())
    });
    std::fs::write(format!("{root}/end"), "").expect("a file");
    wait::until("the end", || (!berth_tests::host::runs(pid)).then_some(()));
    engine.start_daemon();
    let today = engine.at("1.55");
    wait::until("the exit", || (today.state(&id, "ExitCode") == 7).then_some(()));
    let found = health(&today, &id);
    assert_eq!(found["Status"], "unhealthy");
    let numbers: Vec<u32> = found["Log"].as_array().expect("results").iter().map(number).collect();
    assert!(numbers.len() == 5 && numbers[0] > counted, "{numbers:?} after {counted}");
    // Another daemon knows it from the database.
    engine.replace_daemon();
    assert_eq!(health(&engine.at("1.55"), &id), found);
}

#[test]
fn a_stopped_container_is_not_healthy_and_starts_again_with_its_results() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    // Without the file it is neither healthy nor, for a long time, unhealthy.
    let patient = json!({ "Interval": 500 * MILLISECOND, "Retries": 1000 });
    let id = today.run(&checked(&["CMD", "test", "-f", "/ok"], patient));
    let get_well = || {
        assert_eq!(today.exec(&id, &["touch", "/ok"]).code, 0);
        until(&today, &id, "healthy");
        assert_eq!(today.exec(&id, &["rm", "/ok"]).code, 0);
    };
    get_well();
    let _ = today.post(&format!("/containers/{id}/stop")).expect(204);
    let stopped = health(&today, &id);
    assert_eq!(stopped["Status"], "unhealthy");
    assert!(listed(&today, &id)["Status"].as_str().is_some_and(|text| !text.contains("healthy")));
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(health(&today, &id), stopped, "no probe is made");
    today.start(&id);
    let started = health(&today, &id);
    assert_eq!(started["Status"], "starting");
    let kept = |health: &Value| health["Log"].as_array().expect("results").clone();
    let last = kept(&stopped).pop().expect("a result");
    assert!(kept(&started).contains(&last), "{started} after {stopped}");
    get_well();
    let _ = today.post(&format!("/containers/{id}/restart?t=0")).expect(204);
    assert_eq!(told(&today, &id).len(), 2, "what starts and stops tells nothing of health");
    get_well();
}
