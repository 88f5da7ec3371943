//! Cache mounts: what they begin with, and steps that want the same ones at the same time.

use berth_tests::Engine;

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;

fn build(engine: &Engine, dockerfile: &str, options: &[(&str, &str)]) -> Outcome {
    let mut order = Order::of(Offers::of(dockerfile, &[]), "x").option("no-cache", "");
    for (name, value) in options {
        order = order.option(name, value);
    }
    run(order.run(engine.socket()))
}

fn succeed(engine: &Engine, dockerfile: &str, options: &[(&str, &str)]) -> String {
    let built = build(engine, dockerfile, options);
    built.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}: {}", built.output()));
    built.output()
}

/// Removes every cache.
fn prune(engine: &Engine) {
    let _ = engine.at("1.55").post("/build/prune?all=1").expect(200);
    engine.forget_builds();
}

#[test]
fn a_cache_that_could_not_be_filled_is_filled_by_the_next_step() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS s\nRUN mkdir /there && echo filled > /there/f\nFROM busybox\n\
        RUN --mount=type=cache,id=i,from=s,source=/SOURCE,target=/c cat /c/f\n";
    for _ in 0..2 {
        let built = build(&engine, &dockerfile.replace("SOURCE", "nosuch"), &[]);
        assert!(built.failure().1.contains("nosuch"), "{:?}", built.failure());
    }
    let usage = engine.at("1.55").get("/system/df").expect(200).json();
    let caches = usage["BuildCache"].as_array().expect("records").iter();
    assert_eq!(caches.filter(|record| record["Type"] == "exec.cachemount").count(), 0, "{usage}");
    assert!(succeed(&engine, &dockerfile.replace("SOURCE", "there"), &[]).contains("filled\n"));
    prune(&engine);
}

#[test]
fn steps_that_want_a_new_cache_at_once_both_have_its_files() {
    let engine = Engine::start();
    let list = "RUN --mount=type=cache,id=rr,from=s,target=/c ls /c/many | wc -l > /n";
    let dockerfile = format!(
        "FROM busybox AS s\nRUN mkdir /many && cd /many && for i in $(seq 500); do echo $i > $i; done\n\
         FROM busybox AS a\n{list}\nFROM busybox AS b\n{list}; true\nFROM busybox\n\
         COPY --from=a /n /a\nCOPY --from=b /n /b\nRUN cat /a /b\n"
    );
    for _ in 0..3 {
        assert_eq!(succeed(&engine, &dockerfile, &[]), "500\n500\n");
        let _ = engine.at("1.55").post("/build/prune?all=1").expect(200);
    }
    prune(&engine);
}

#[test]
fn one_step_mounts_a_cache_twice() {
    let engine = Engine::start();
    for (one, other, are_one) in [
        ("locked", "locked", true),
        ("shared", "locked", true),
        ("locked", "shared", true),
        ("shared", "shared", true),
        ("private", "locked", false),
        ("private", "shared", false),
        ("private", "private", false),
    ] {
        let dockerfile = format!(
            "FROM busybox\nRUN --mount=type=cache,id=t,sharing={one},target=/a \
             --mount=type=cache,id=t,sharing={other},target=/b touch /a/{one}-{other} && ls /b/{one}-{other} || true\n"
        );
        let output = succeed(&engine, &dockerfile, &[]);
        assert_eq!(output == format!("/b/{one}-{other}\n"), are_one, "{one} {other}: {output}");
    }
    prune(&engine);
}

#[test]
fn locked_caches_are_taken_in_one_order() {
    let engine = Engine::start();
    let mount = |id: &str| format!("--mount=type=cache,id={id},sharing=locked,target=/{id}");
    let (l1, l2) = (mount("l1"), mount("l2"));
    let dockerfile = format!(
        "FROM busybox AS a\nRUN {l1} {l2} touch /a\nRUN {l2} {l1} touch /c\n\
         FROM busybox AS b\nRUN {l2} {l1} touch /b\nRUN {l1} {l2} touch /d\n\
         FROM busybox\nCOPY --from=a /a /c /\nCOPY --from=b /b /d /\nRUN ls -d /a /b /c /d\n"
    );
    for _ in 0..3 {
        assert_eq!(succeed(&engine, &dockerfile, &[]), "/a\n/b\n/c\n/d\n");
    }
    prune(&engine);
}

#[test]
fn a_namespace_keeps_caches_apart() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN --mount=type=cache,id=n,target=/c ls /c; touch /c/used\n";
    let of = |name| [("build-arg:BUILDKIT_CACHE_MOUNT_NS", name)];
    assert_eq!(succeed(&engine, dockerfile, &of("one")), "");
    assert_eq!(succeed(&engine, dockerfile, &of("two")), "");
    assert_eq!(succeed(&engine, dockerfile, &of("one")), "used\n");
    prune(&engine);
}

/// What a command sees of its limits is part of what its layer is made of.
#[test]
fn limits_are_a_part_of_a_steps_key() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN ulimit -n; df -k /dev/shm | tail -n 1 | awk '{print $2}'\n";
    let build = |options: &[(&str, &str)]| {
        let order = Order::of(Offers::of(dockerfile, &[]), "x");
        let order = options.iter().fold(order, |order, (name, value)| order.option(name, value));
        let built = run(order.run(engine.socket()));
        built.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}"));
        built.output()
    };
    assert_eq!(build(&[("ulimit", "nofile=100:100"), ("shm-size", "1048576")]), "100\n1024\n");
    assert_eq!(build(&[("ulimit", "nofile=200:200"), ("shm-size", "1048576")]), "200\n1024\n");
    assert_eq!(build(&[("ulimit", "nofile=200:200"), ("shm-size", "2097152")]), "200\n2048\n");
    assert_eq!(
        build(&[("ulimit", "nofile=200:200"), ("shm-size", "2097152")]),
        "",
        "nothing else has changed"
    );
    engine.forget_builds();
}

/// A socket in a layer is copied as an empty file, as BuildKit's own daemon does.
#[test]
fn a_socket_in_a_layer_is_copied_as_an_empty_file() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS s\nRUN mkdir /d && ln -s /d/log /dev/log && { syslogd -n & } && \
        until [ -S /d/log ]; do kill -0 $! || exit 9; done && echo beside > /d/f\n\
        FROM busybox\nCOPY --from=s /d /all\nCOPY --from=s /d/log /one\n\
        RUN cat /all/log /all/f /one && ls /all && ls -l /one | cut -c 1\n";
    let output = succeed(&engine, dockerfile, &[]);
    // The program that makes the socket prints a line too.
    assert!(output.ends_with("beside\nf\nlog\n-\n"), "{output}");
    engine.forget_builds();
}
