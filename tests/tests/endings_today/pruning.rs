//! `POST /containers/prune`, since 1.25.

use berth_tests::query;

use super::*;

/// Prunes; gives the ids that are gone, and the bytes.
fn prune(client: &Client, filters: Value) -> (Vec<String>, u64) {
    let query = query(&[("filters", &filters.to_string())]);
    let answer = client.post(&format!("/containers/prune{query}")).expect(200).json();
    let deleted: Option<Vec<String>> =
        serde_json::from_value(answer["ContainersDeleted"].clone()).expect("a list of ids");
    let mut deleted = deleted.unwrap_or_default();
    deleted.sort();
    (deleted, answer["SpaceReclaimed"].as_u64().expect("bytes"))
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
    ids.sort();
    ids
}

#[test]
fn what_does_not_run_goes_and_its_volumes_stay() {
    let engine = Today::start();
    let runs = engine.run(&sh("sleep 600"));
    let paused = engine.run(&sh("sleep 600"));
    let _ = engine.post(&format!("/containers/{paused}/pause")).expect(204);
    let created = engine.create(&merged(sh("true"), json!({ "Volumes": { "/own": {} } })));
    let volume = engine.inspect(&created)["Mounts"][0]["Name"].as_str().expect("a name").to_owned();
    let exited = engine.run(&sh("head -c 300000 /dev/zero > /file"));
    let _ = engine.wait(&exited);
    let (deleted, bytes) = prune(&engine, json!({}));
    assert_eq!(deleted, sorted(&[&created, &exited]));
    assert!((300_000..1_000_000).contains(&bytes), "{bytes}");
    let _ = engine.get(&format!("/volumes/{volume}")).expect(200);
    for id in [&runs, &paused] {
        let _ = engine.get(&format!("/containers/{id}/json")).expect(200);
    }
    let events = engine.past_events(&json!({ "type": ["container"], "event": ["prune", "destroy"] }));
    let actions: Vec<&str> = events.iter().map(|event| event["Action"].as_str().expect("one")).collect();
    assert_eq!(actions, ["destroy", "destroy", "prune"]);
    assert_eq!(events[2]["Actor"], json!({"ID": "", "Attributes": {"reclaimed": bytes.to_string()}}));
    let nothing = engine.post("/containers/prune").expect(200).json();
    assert_eq!(nothing, json!({ "ContainersDeleted": null, "SpaceReclaimed": 0 }));
    let _ = engine.at("1.24").post("/containers/prune").expect(404);
}

#[test]
fn filters_choose() {
    let engine = Today::start();
    let labelled = |labels: Value| engine.create(&merged(sh("true"), json!({ "Labels": labels })));
    let one = labelled(json!({ "tier": "1" }));
    let two = labelled(json!({ "tier": "2" }));
    let kept = labelled(json!({ "tier": "1", "keep": "" }));
    let nobody: Vec<String> = Vec::new();
    assert_eq!(prune(&engine, json!({ "until": ["1h"] })).0, nobody);
    assert_eq!(prune(&engine, json!({ "until": ["2013-07-17T13:32:04Z"] })).0, nobody);
    assert_eq!(prune(&engine, json!({ "label": ["tier=1"], "label!": ["keep"] })).0, sorted(&[&one]));
    assert_eq!(
        prune(&engine, json!({ "label": ["tier"], "until": ["4102444800"] })).0,
        sorted(&[&two, &kept])
    );
    for (filters, words) in [
        (json!({ "foo": ["x"] }), "invalid filter 'foo'"),
        (json!({ "until": ["soon"] }), "invalid filter: 'until'='soon'"),
        (json!({ "until": ["1h", "2h"] }), "more than one until filter specified"),
    ] {
        let query = query(&[("filters", &filters.to_string())]);
        assert_eq!(engine.post(&format!("/containers/prune{query}")).expect(400).message(), words);
    }
}

#[test]
fn a_container_that_is_restarted_is_spared() {
    let engine = Today::start();
    let id = engine.run(&sh("sleep 600"));
    std::thread::scope(|scope| {
        let client = engine.at("1.55");
        let restarts = scope.spawn({
            let id = id.clone();
            move || {
                for _ in 0..10 {
                    let _ = client.post(&format!("/containers/{id}/restart?t=0")).expect(204);
                }
            }
        });
        while !restarts.is_finished() {
            assert_eq!(prune(&engine, json!({})).0, Vec::<String>::new());
        }
    });
    assert_eq!(engine.state(&id, "Status"), "running");
}
