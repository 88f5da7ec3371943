//! Prune: what it takes, and that it never takes what a container is about to use.

use std::sync::atomic::{AtomicBool, Ordering};

use berth_tests::SetOnDrop;

use super::*;

#[test]
fn a_prune_takes_what_nobody_uses_and_nobody_named() {
    let engine = Today::start();
    let _ = volume(&engine, json!({ "Name": "named", "Labels": { "k": "1" } }));
    let anonymous = volume(&engine, json!({}))["Name"].as_str().expect("a name").to_owned();
    let used = volume(&engine, json!({}))["Name"].as_str().expect("a name").to_owned();
    std::fs::write(content(&engine, &anonymous).join("file"), [b'x'; 300_000]).expect("a file");
    let container = engine.create(&on(&used, "true"));
    assert_eq!(prune(&engine, json!({})), (vec![anonymous.clone()], 300_000));
    let _ = engine.get(&format!("/volumes/{anonymous}")).expect(404);
    assert_eq!(prune(&engine, json!({ "all": ["true"], "label": ["other"] })), (vec![], 0));
    assert_eq!(prune(&engine, json!({ "all": ["true"], "label!": ["k"] })), (vec![], 0));
    assert_eq!(prune(&engine, json!({ "all": ["true"] })), (vec!["named".to_owned()], 0));
    let _ = volume(&engine, json!({ "Name": "named" }));
    assert_eq!(prune(&engine.at("1.41"), json!({})).0, ["named"], "1.41 takes all that nobody uses");
    for bad in [r#"{"foo":["x"]}"#, r#"{"all":["maybe"]}"#, r#"{"until":["1h"]}"#, r#"{"dangling":["1"]}"#] {
        let query = berth_tests::query(&[("filters", bad)]);
        let _ = engine.post(&format!("/volumes/prune{query}")).expect(400);
    }
    assert_eq!(listed(&engine, json!({})), [used], "it is in use");
    engine.remove(&container);
}

#[test]
fn a_prune_tells_what_it_has_freed() {
    let engine = Today::start();
    let name = volume(&engine, json!({}))["Name"].as_str().expect("a name").to_owned();
    std::fs::write(content(&engine, &name).join("file"), "twelve bytes").expect("a file");
    let _ = prune(&engine, json!({}));
    let events = past(&engine);
    let last: Vec<_> = events.iter().rev().take(2).map(|event| (&event["Action"], &event["Actor"])).collect();
    let freed = json!({ "ID": "", "Attributes": { "reclaimed": "12" } });
    let gone = json!({ "ID": name, "Attributes": { "driver": "local" } });
    assert_eq!(last, [(&json!("prune"), &freed), (&json!("destroy"), &gone)]);
}

#[test]
fn a_container_that_is_being_made_keeps_its_volume_from_prunes() {
    let engine = Today::start();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut taken = 0;
            while !is_done.load(Ordering::Relaxed) {
                taken += prune(&engine, json!({ "all": ["1"] })).0.len();
            }
            taken
        });
        let end = SetOnDrop(&is_done);
        for round in 0..40 {
            let container = engine.create(&on("data", "sleep 600"));
            let place = content(&engine, "data");
            std::fs::write(place.join("file"), round.to_string()).expect("the volume is there");
            if round % 4 == 0 {
                engine.start(&container);
                assert_eq!(engine.exec(&container, &["cat", "/v/file"]).stdout, round.to_string());
            }
            assert!(place.join("file").exists(), "round {round}");
            // The volume stays, and may go from now on.
            let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
        }
        drop(end);
        assert!(pruning.join().expect("the prunes") > 0, "no prune ever took the volume");
    });
}
