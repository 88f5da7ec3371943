//! The cache: steps of builds are no images, and both ways list and prune them.

use std::collections::BTreeSet;

use berth_tests::{Context, Engine};
use buildkit_messages::control::{DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord};
use http::HeaderMap;
use serde_json::Value;

use crate::client::{Control, Order, run};
use crate::offers::Offers;

/// A stage whose files the result has, and one that it copies from.
const STAGES: &str =
    "FROM busybox AS made\nRUN echo content > /f\nFROM busybox\nRUN touch /own\nCOPY --from=made /f /f\n";

fn listed(engine: &Engine) -> Vec<Value> {
    let listed = engine.at("1.55").get("/images/json?all=1").expect(200).json();
    let is_new = |image: &&Value| {
        !image["RepoTags"].as_array().is_some_and(|tags| tags.contains(&"busybox:latest".into()))
    };
    listed.as_array().expect("a list").iter().filter(is_new).cloned().collect()
}

fn of_engine(engine: &Engine) -> Vec<Value> {
    let usage = engine.at("1.55").get("/system/df?type=build-cache&verbose=1").expect(200).json();
    usage["BuildCacheUsage"]["Items"].as_array().cloned().unwrap_or_default()
}

fn of_control(engine: &Engine) -> Vec<UsageRecord> {
    run(async {
        let control = Control::open(&engine.socket()).await;
        let usage: DiskUsageResponse = control
            .call("/moby.buildkit.v1.Control/DiskUsage", &DiskUsageRequest::default())
            .await
            .expect("the cache");
        usage.records
    })
}

fn pruned(engine: &Engine, request: &PruneRequest) -> Vec<UsageRecord> {
    run(async {
        let control = Control::open(&engine.socket()).await;
        let gone =
            control.raw("/moby.buildkit.v1.Control/Prune", HeaderMap::new(), crate::streams::frame(request));
        gone.await.expect("a prune")
    })
}

fn build(engine: &Engine, dockerfile: &str, exporter: (&str, &[(&str, &str)])) -> crate::client::Outcome {
    let order = Order::of(Offers::of(dockerfile, &[("a", b"one")]), "x").exporters(&[exporter]);
    let built = run(order.run(engine.socket()));
    built.result.as_ref().expect("a build");
    built
}

#[test]
fn steps_of_builds_are_no_images() {
    let engine = Engine::start();
    let images = |engine: &Engine| engine.at("1.55").get("/info").expect(200).json()["Images"].as_u64();
    let before = images(&engine).expect("a number");
    build(&engine, STAGES, ("tar", &[]));
    assert_eq!(listed(&engine), [] as [Value; 0], "an archive leaves none");
    let named = build(&engine, STAGES, ("moby", &[("name", "named")]));
    let only = listed(&engine);
    assert_eq!(only.len(), 1, "{only:?}");
    assert_eq!(only[0]["Id"], named.image());
    assert_eq!((&only[0]["ParentId"], images(&engine)), (&Value::from(""), Some(before + 1)));
    let history = engine.at("1.55").get("/images/named/history").expect(200).json();
    let ids: Vec<&str> =
        history.as_array().expect("steps").iter().map(|step| step["Id"].as_str().expect("an id")).collect();
    assert_eq!(&ids[..2], [named.image().as_str(), "<missing>"], "steps have no ids");
    let unnamed = build(&engine, "FROM busybox\nRUN touch /unnamed\n", ("moby", &[]));
    let dangling = engine.at("1.55").get("/images/json?filters={\"dangling\":[\"true\"]}").expect(200).json();
    assert_eq!(dangling[0]["Id"], unnamed.image(), "a result without a name is an image");
    let _ = engine.at("1.55").delete("/images/named").expect(200);
    let again = build(&engine, STAGES, ("moby", &[("name", "named")]));
    assert_eq!(again.step("[made 2/2] RUN echo content > /f"), "cached", "an image goes, and its steps stay");
    engine.forget_builds();
}

#[test]
fn both_ways_list_and_prune_the_cache() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS made\nRUN --mount=type=cache,target=/c touch /other && echo content > /f\nFROM busybox\nCOPY a /a\nCOPY --from=made /f /f\n";
    build(&engine, dockerfile, ("moby", &[("name", "pruned")]));
    let records = of_control(&engine);
    let ids =
        |records: &[UsageRecord]| records.iter().map(|record| record.id.clone()).collect::<BTreeSet<_>>();
    let of_engine_ids: BTreeSet<String> =
        of_engine(&engine).iter().map(|record| record["ID"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids(&records), of_engine_ids);
    let mut kinds: Vec<(&str, bool)> =
        records.iter().map(|record| (record.kind.as_str(), record.shared)).collect();
    kinds.sort_unstable();
    let steps = [("regular", false), ("regular", true)];
    assert_eq!(kinds, [("exec.cachemount", false), steps[0], steps[1], ("source.local", false)]);
    let filter = |text: &str| PruneRequest { filter: vec![text.to_owned()], ..PruneRequest::default() };
    let gone = pruned(&engine, &filter("type==exec.cachemount"));
    assert_eq!(gone.iter().map(|record| record.kind.as_str()).collect::<Vec<_>>(), ["exec.cachemount"]);
    let answer = engine.at("1.55").post("/build/prune").expect(200).json();
    assert_eq!(answer["CachesDeleted"].as_array().map(Vec::len), Some(2), "{answer}");
    let left = of_control(&engine);
    assert_eq!(
        left.iter().map(|record| record.shared).collect::<Vec<_>>(),
        [true],
        "what the image has stays"
    );
    let again = build(&engine, dockerfile, ("moby", &[("name", "pruned")]));
    assert_eq!(again.step("[stage-1 2/3] COPY a /a"), "cached");
    assert_eq!(
        again.step("[made 2/2] RUN --mount=type=cache,target=/c touch /other && echo content > /f"),
        "done"
    );
    let uses = of_control(&engine).iter().map(|record| record.usage_count).max();
    assert_eq!(uses, Some(2), "a use is counted");
    let gone = pruned(&engine, &PruneRequest { all: true, ..PruneRequest::default() });
    assert_eq!(gone.len(), 4, "{gone:?}");
    assert_eq!(of_engine(&engine), [] as [Value; 0]);
    assert_eq!(engine.output_of("pruned", "cat /f /a"), "content\none", "the image stays whole");
    let fresh = build(&engine, dockerfile, ("moby", &[("name", "pruned")]));
    assert_eq!(fresh.step("[stage-1 2/3] COPY a /a"), "done");
    engine.forget_builds();
}

#[test]
fn records_outlive_the_daemon() {
    let mut engine = Engine::start();
    build(&engine, STAGES, ("tar", &[]));
    let kept = |engine: &Engine| {
        let records = of_control(engine);
        let steps = records.into_iter().filter(|record| record.kind == "regular");
        steps.map(|record| (record.id, record.description, record.usage_count)).collect::<BTreeSet<_>>()
    };
    let before = kept(&engine);
    assert_eq!(before.len(), 3);
    engine.replace_daemon();
    assert_eq!(kept(&engine), before);
    let again = build(&engine, STAGES, ("tar", &[]));
    assert_eq!(again.step("[stage-1 2/3] RUN touch /own"), "cached");
    engine.forget_builds();
}

#[test]
fn a_step_is_found_by_whichever_way_it_was_built() {
    let engine = Engine::start();
    let client = engine.at("1.41");
    // What a step writes into a file shows whether it ran again.
    let dockerfile = |number: u32| {
        format!(
            "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /run-{number}\nWORKDIR /w\nCOPY a /w/\nCMD [\"x\"]\n"
        )
    };
    let classic = |number: u32| {
        let context = Context::of(&dockerfile(number)).file("a", b"one");
        let tar = [("Content-Type", "application/x-tar")];
        let answer = client.call("POST", &format!("/build?t=classic{number}"), &tar, &context.bytes());
        answer.expect(200).text()
    };
    let layers =
        |name: &str| client.get(&format!("/images/{name}/json")).expect(200).json()["RootFS"].clone();
    let graph = |number: u32| {
        let name = format!("graph{number}");
        build(&engine, &dockerfile(number), ("moby", &[("name", &name)]))
    };
    let text = classic(1);
    assert!(!text.contains("Using cache"), "{text}");
    let found = graph(1);
    for step in
        ["[2/4] RUN cat /proc/sys/kernel/random/uuid > /run-1", "[3/4] WORKDIR /w", "[4/4] COPY a /w/"]
    {
        assert_eq!(found.step(step), "cached", "{step}");
    }
    assert_eq!(layers("graph1"), layers("classic1"));
    graph(2);
    let text = classic(2);
    assert_eq!(text.matches("Using cache").count(), 3, "{text}");
    assert_eq!(layers("classic2"), layers("graph2"));
    let history = |name: &str| client.get(&format!("/images/{name}/history")).expect(200).json()[0].clone();
    assert_eq!(history("graph2")["CreatedBy"], "CMD [\"x\"]");
    assert_eq!(history("classic2")["CreatedBy"], "/bin/sh -c #(nop)  CMD [\"x\"]");
    engine.forget_builds();
}
