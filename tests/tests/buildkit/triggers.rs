//! Triggers of images in builds of today: steps as those of the file.

use berth_tests::Engine;

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;

fn build(engine: &Engine, dockerfile: &str, name: &str) -> Outcome {
    run(Order::of(Offers::of(dockerfile, &[("f", b"one")]), name).run(engine.socket()))
}

#[test]
fn triggers_are_steps_with_their_output() {
    let engine = Engine::start();
    let file = "FROM busybox AS one\nONBUILD ENV A=b\nONBUILD RUN echo $A\nONBUILD COPY f /x\nFROM one AS two\nRUN cat /x\n\
        FROM two\nRUN true\n";
    let built = build(&engine, file, "made");
    built.result.as_ref().expect("a build");
    assert_eq!(built.output(), "b\none");
    for step in [
        "[two 1/3] ONBUILD RUN echo b",
        "[two 2/3] ONBUILD COPY f /x",
        "[two 3/3] RUN cat /x",
        "[stage-2 1/1] RUN true",
    ] {
        assert_eq!(built.step(step), "done");
    }
    let built = build(&engine, "FROM busybox\nONBUILD RUN echo there\nONBUILD LABEL a=b\n", "base");
    built.result.as_ref().expect("a build");
    let built = build(&engine, "FROM base\nRUN true\n", "above");
    built.result.as_ref().expect("a build");
    let steps: Vec<String> =
        built.steps().into_iter().map(|(name, _)| name).filter(|name| name.starts_with("[")).collect();
    let shown = |name: &&String| name.contains("/3]");
    let shown: Vec<&String> = steps.iter().filter(shown).collect();
    assert_eq!(
        shown,
        ["[1/3] FROM docker.io/library/base:latest", "[3/3] RUN true", "[2/3] ONBUILD RUN echo there"],
        "{steps:?}"
    );
    let image = engine.at("1.55").get("/images/above/json").expect(200).json();
    assert_eq!(image["Config"]["Labels"]["a"], "b", "{image}");
    engine.forget_builds();
}

#[test]
fn a_trigger_that_fails_is_a_step_that_fails() {
    let engine = Engine::start();
    let failed = build(
        &engine,
        "FROM busybox AS one\nONBUILD RUN echo before; false\nFROM one AS two\nRUN true\n",
        "x",
    );
    let want = "process \"/bin/sh -c echo before; false\" did not complete successfully: exit code: 1";
    assert_eq!(failed.failure().1, want);
    assert_eq!(failed.step("[two 1/2] ONBUILD RUN echo before; false"), want);
    assert_eq!(failed.output(), "before\n");
    let unknown = build(&engine, "FROM busybox AS one\nONBUILD NOSUCH a\nFROM one\nRUN true\n", "x");
    assert_eq!(unknown.failure().1, "unknown instruction: NOSUCH");
    engine.forget_builds();
}
