//! Looking into containers: `top` and `stats`.

use berth_tests::{Engine, sh, wait};
use serde_json::Value;

#[test]
fn top_lists_the_processes() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 601 & sleep 602"));
    wait::until("both processes", || {
        let top = engine.get(&format!("/containers/{id}/top")).expect(200).json();
        let titles = top["Titles"].as_array().expect("titles");
        assert!(titles.iter().any(|title| title == "PID"), "{top}");
        let text = top["Processes"].to_string();
        (text.contains("sleep 601") && text.contains("sleep 602")).then_some(())
    });
    let top = engine.get(&format!("/containers/{id}/top?ps_args=aux")).expect(200).json();
    assert!(top["Titles"].to_string().contains("%CPU"), "{top}");
    assert!(top["Processes"].as_array().is_some_and(|processes| processes.len() >= 2), "{top}");
}

#[test]
fn top_of_what_does_not_run_is_refused() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let answer = engine.get(&format!("/containers/{id}/top")).expect(500);
    assert_eq!(answer.text(), format!("Container {id} is not running\n"));
    assert_eq!(engine.get("/containers/nosuch/top").expect(404).text(), "no such id: nosuch\n");
}

#[test]
fn one_sample_of_stats() {
    let engine = Engine::start();
    let id = engine.run(&sh("while :; do :; done"));
    let busy = |stats: &Value| stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64().expect("a number");
    let ask = || engine.get(&format!("/containers/{id}/stats?stream=0")).expect(200).json();
    let first = ask();
    assert!(first["memory_stats"]["usage"].as_u64().is_some_and(|usage| usage > 0), "{first}");
    assert!(first["cpu_stats"]["system_cpu_usage"].is_u64(), "{first}");
    wait::until("time that passes", || (busy(&ask()) > busy(&first)).then_some(()));
    assert_eq!(engine.get("/containers/nosuch/stats").expect(404).text(), "no such id: nosuch\n");
}

#[test]
fn the_stream_of_stats_ends_with_the_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let (head, mut stream) = engine.open("GET", &format!("/containers/{id}/stats"), &[], b"");
    assert_eq!(head.status, 200);
    let first = stream.read_chunk().expect("a sample").expect("no early end");
    let first: Value = serde_json::from_slice(&first).expect("JSON");
    assert!(first["read"].is_string(), "{first}");
    let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    while stream.read_chunk().expect("the stream").is_some() {}
}
