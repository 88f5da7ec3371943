//! Caches in registries: what one build sends, another one begins with.

use berth_tests::Engine;
use berth_tests::registry::{Protection, Registry};
use buildkit_messages::control::{CacheEntry, CacheOptions};

use crate::caches::{DOCKERFILE, OWN, assert_is_reused, entry};
use crate::client::{Order, Outcome, run};
use crate::offers::Offers;

const PLACE: &str = "127.0.0.1:5000/cache:1";

fn build(
    engine: &Engine,
    exports: Vec<CacheEntry>,
    imports: Vec<CacheEntry>,
    exporter: (&str, &[(&str, &str)]),
) -> Outcome {
    let mut order = Order::of(Offers::of(DOCKERFILE, &[]), "x").exporters(&[exporter]);
    order.request.cache = Some(CacheOptions { exports, imports, ..CacheOptions::default() });
    run(order.run(engine.socket()))
}

const IMAGE: (&str, &[(&str, &str)]) = ("moby", &[("name", "cached")]);

#[test]
fn a_cache_of_every_stage_goes_to_a_registry_and_comes_back() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for (mode, made) in [("max", "cached"), ("min", "done")] {
        let exports = vec![entry("registry", &[("ref", PLACE), ("mode", mode)])];
        let first = build(&engine, exports, Vec::new(), IMAGE);
        assert_eq!(first.step(&format!("exporting cache to {PLACE}")), "done", "{:?}", first.result);
        engine.forget_builds();
        let imports = vec![entry("registry", &[("ref", PLACE)])];
        let second = build(&engine, Vec::new(), imports, IMAGE);
        assert_eq!(
            second.step(&format!("importing cache manifest from {PLACE}")),
            "done",
            "{:?}",
            second.result
        );
        assert_is_reused(&engine, &second, made, mode);
        engine.forget_builds();
    }
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn an_image_that_was_pushed_is_a_cache() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let exporter: (&str, &[(&str, &str)]) = ("image", &[("name", "127.0.0.1:5000/a:1"), ("push", "true")]);
    build(&engine, vec![entry("inline", &[])], Vec::new(), exporter).result.expect("a build");
    engine.forget_builds();
    let imports = vec![entry("registry", &[("ref", "127.0.0.1:5000/a:1")])];
    let second = build(&engine, Vec::new(), imports, IMAGE);
    assert_eq!(second.step(OWN), "cached", "{:?}", second.result);
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
}

#[test]
fn a_cache_that_is_not_there_stops_no_build() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let built = build(&engine, Vec::new(), vec![entry("registry", &[("ref", PLACE)])], IMAGE);
    built.result.as_ref().expect("a build");
    let step = built.step(&format!("importing cache manifest from {PLACE}"));
    assert!(step.contains("cache"), "the step says that it is not there: {step}");
    engine.forget_builds();
}

#[test]
fn caches_of_other_services_are_a_warning_or_a_refusal() {
    let engine = Engine::start();
    let gha = || vec![entry("gha", &[("scope", "x")])];
    let built = build(&engine, gha(), gha(), IMAGE);
    built.result.as_ref().expect("a build");
    assert_eq!(
        built.warnings(),
        [
            "the cache of the kind gha is not supported and is not made",
            "the cache of the kind gha is not supported and is not used"
        ]
    );
    let refused = build(&engine, vec![entry("s3", &[])], Vec::new(), IMAGE);
    assert_eq!(refused.failure().0, 2, "{}", refused.failure().1);
    assert!(
        refused.failure().1.starts_with("cache export to s3 is not supported"),
        "{}",
        refused.failure().1
    );
    engine.forget_builds();
}
