//! The cache of builds: what counts, what does not, and how long it lasts.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use berth_tests::{Context, Engine, Entry};

/// A build whose every image differs from those of other runs: the steps write random numbers.
const NOTED: &str = "FROM busybox\nENV a=b\nRUN cat /proc/sys/kernel/random/uuid > /one\nCOPY f /f\n\
    RUN cat /proc/sys/kernel/random/uuid > /two\nCMD cat /one /two /f\n";

fn noted(content: &str) -> Context {
    Context::of(NOTED).file("f", content)
}

#[test]
fn the_cache_outlives_the_daemon_and_ends_with_its_images() {
    let mut engine = Engine::start();
    let first = engine.build(&[("t", "kept")], noted("x"));
    let image = first.image();
    assert_eq!(first.cached(), 0);
    for daemon in ["the same", "a restarted", "a killed"] {
        let again = engine.build(&[("t", "kept")], noted("x"));
        assert_eq!((again.image(), again.cached()), (image.clone(), 5), "{daemon} daemon");
        assert!(!again.said.contains("Removing intermediate"), "{}", again.said);
        if daemon == "the same" {
            engine.stop_daemon();
            engine.start_daemon();
        } else {
            engine.replace_daemon();
        }
    }
    let fresh = engine.build(&[("t", "kept"), ("nocache", "1")], noted("x"));
    assert!(fresh.image() != image && fresh.cached() == 0, "nocache runs everything");
    let newest = engine.build(&[], noted("x"));
    assert_eq!((newest.image(), newest.cached()), (fresh.image(), 5), "the newest image is taken");
    let _ = engine.delete("/images/kept?force=1").expect(200);
    let older = engine.build(&[], noted("x"));
    assert_eq!((older.image(), older.cached()), (image.clone(), 5), "another image of the same steps serves");
    engine.forget_builds();
    let none = engine.build(&[], noted("x"));
    assert_eq!(none.cached(), 0, "nothing is left to be found");
    // What lies between is found without the end of it.
    let end = none.image();
    let _ = engine.delete(&format!("/images/{end}?noprune=1")).expect(200);
    let part = engine.build(&[], noted("x"));
    assert_eq!(part.cached(), 4, "{}", part.said);
    let _ = engine.post(&format!("/images/{}/tag?repo=named", part.image())).expect(201);
    assert_eq!(engine.build(&[], noted("x")).cached(), 5, "a name changes nothing");
    engine.forget_builds();
}

#[test]
fn content_mode_and_owner_count_and_time_does_not() {
    let engine = Engine::start();
    let base = Entry { name: "f", content: b"x", ..Entry::default() };
    let build = |entry: Entry<'_>| {
        engine.build(&[], Context::of("FROM busybox\nCOPY f /f\nADD f /g\nRUN true\n").entry(entry)).cached()
    };
    assert_eq!(build(base), 0);
    for (what, entry, want) in [
        ("nothing", base, 3),
        ("the time", Entry { time: 1, ..base }, 3),
        ("the content", Entry { content: b"y", ..base }, 0),
        ("the mode", Entry { mode: 0o755, ..base }, 0),
        ("the owner", Entry { owner: (5, 0), ..base }, 0),
        ("the group", Entry { owner: (0, 5), ..base }, 0),
    ] {
        assert_eq!(build(entry), want, "{what} changed");
        assert_eq!(build(entry), 3, "{what} changed, and built again");
    }
    let directory = |name: &str| {
        let context =
            Context::of("FROM busybox\nCOPY d /d\n").directory("d/").file(&format!("d/{name}"), "x");
        engine.build(&[], context).cached()
    };
    assert_eq!((directory("a"), directory("b"), directory("a")), (0, 0, 1), "names count");
    let unused =
        Context::of("FROM busybox\nCOPY d /d\n").directory("d/").file("d/a", "x").file("unused", "changed");
    assert_eq!(engine.build(&[], unused).cached(), 1, "what is not copied does not count");
    engine.forget_builds();
}

#[test]
fn what_a_step_can_see_counts() {
    let engine = Engine::start();
    let build = |text: &str| {
        engine.build(&[], Context::of(&format!("FROM busybox\n{text}\nRUN echo same > /s\n"))).cached()
    };
    for (one, other) in [
        ("ENV a=1", "ENV a=2"),
        ("USER root", "USER 0"),
        ("WORKDIR /tmp", "WORKDIR /var"),
        ("LABEL a=1", "LABEL a=1 b=2"),
        ("RUN echo a", "RUN echo  a"),
        ("RUN echo a", "RUN [\"/bin/sh\", \"-c\", \"echo b\"]"),
        ("CMD a", "CMD [\"a\"]"),
        ("SHELL [\"/bin/sh\", \"-c\"]", "SHELL [\"/bin/sh\", \"-ec\"]"),
    ] {
        let first = build(one);
        assert_eq!(build(one), 2, "{one} again");
        assert!(build(other) < 2, "{other} after {one}");
        assert!(first <= 2);
    }
    assert_eq!(build("RUN echo c"), 0);
    assert_eq!(build("RUN [\"/bin/sh\", \"-c\", \"echo c\"]"), 2, "both forms are the same command");
    engine.forget_builds();
}

#[test]
fn builds_at_the_same_time_share_their_steps_and_spoil_none() {
    let engine = Engine::start();
    let text = "FROM busybox\nRUN sleep 0.5; cat /proc/sys/kernel/random/uuid > /one\nCOPY f /f\nRUN cat /proc/sys/kernel/random/uuid > /two\n";
    let gate = Barrier::new(6);
    let images: Vec<String> = thread::scope(|scope| {
        let build = |number: usize| {
            gate.wait();
            // Half of them copy something else.
            let content = if number.is_multiple_of(2) { "even" } else { "odd" };
            engine.build(&[("t", &format!("image{number}"))], Context::of(text).file("f", content)).image()
        };
        let threads: Vec<_> = (0..6).map(|number| scope.spawn(move || build(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a build")).collect()
    });
    let outputs: Vec<String> =
        (0..6).map(|number| engine.output_of(&format!("image{number}"), "cat /one /two /f")).collect();
    assert_eq!(images.iter().collect::<BTreeSet<_>>().len(), 2, "{images:?}");
    assert_eq!(outputs[0].lines().next(), outputs[1].lines().next(), "the first step was run once");
    assert!(outputs[0].ends_with("even") && outputs[1].ends_with("odd"), "{outputs:?}");
    for (number, output) in outputs.iter().enumerate() {
        assert_eq!(output, &outputs[number % 2]);
    }
    let failing = "FROM busybox\nRUN sleep 0.2; cat /proc/sys/kernel/random/uuid; exit 1\n";
    let said: BTreeSet<String> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3).map(|_| scope.spawn(|| engine.build(&[("forcerm", "1")], Context::of(failing)))).collect();
        let built = threads.into_iter().map(|thread| thread.join().expect("a build"));
        built
            .map(|built| {
                assert_eq!(built.code, Some(1));
                built.said
            })
            .collect()
    });
    assert_eq!(said.len(), 3, "each runs the failing step itself");
    engine.forget_builds();
}
