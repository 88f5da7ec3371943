//! Builds that are struck: `kill -9` of the daemon at any moment, a disk that is full.
//!
//! The number of rounds with `kill -9` is small by default; `BERTH_BUILD_CRASHES=100` makes a long test of it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use berth_tests::{Context, Engine, Random, SmallDisk, variable, wait};

/// Every kind of step; what it makes does not depend on the time.
const STEPS: &str = "FROM busybox\nCOPY . /context\nRUN mkdir /a && seq 1 2000 > /a/f && ln /a/f /a/h\nENV x=1\n\
    ADD inner.tar /added/\nRUN rm -r /home && cp -r /context /copy && chmod -R 700 /copy\nVOLUME /v\n\
    COPY --chown=1:2 many /owned/\nRUN echo $x >> /a/f; dd if=/dev/zero of=/zeros bs=64k count=32 2>/dev/null\nCMD true\n";
/// Describes every file of the image but those that the engine makes.
const DESCRIBE: &str = "cd / && find . -xdev ! -path './proc*' ! -path './dev*' ! -path './sys*' ! -path './etc/*' ! -path './v' \
    -exec stat -c '%n %F %a %u:%g %s %h' {} + | grep -v ' directory ' | sort; find a added copy owned context -type f | sort | xargs md5sum";

fn context() -> Context {
    let mut context = Context::of(STEPS)
        .file("inner.tar", Context::empty().file("in", "inner").symlink("l", "in").bytes())
        .file("large", vec![5; 300_000])
        .directory("many/");
    for number in 0..200 {
        context = context.file(&format!("many/{number}"), format!("{number}"));
    }
    context
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn builds_survive_kill_9_of_the_daemon() {
    let rounds = variable("BERTH_BUILD_CRASHES").unwrap_or(6);
    let mut random = Random::announced();
    let mut engine = Engine::start();
    let wanted = engine.build_and_run(context(), DESCRIBE);
    assert!(
        wanted.contains("./added/in regular file 644 0:0 5 1\n") && wanted.lines().count() > 800,
        "{wanted}"
    );
    engine.forget_builds();
    for round in 0..rounds {
        let client = (*engine).clone();
        let body = context().bytes();
        let building = thread::spawn(move || {
            client.attempt("POST", "/build?t=struck", &[("Content-Type", "application/x-tar")], &body).is_ok()
        });
        thread::sleep(Duration::from_millis(random.below(700)));
        engine.kill_daemon();
        let _ = building.join().expect("the building client");
        engine.start_daemon();
        let images = engine.data_root().join("images/temporary");
        wait::until(&format!("round {round}: nothing of the struck build"), || {
            let containers = engine.get("/containers/json?all=1").expect(200).json();
            let none = containers.as_array().is_some_and(Vec::is_empty);
            let clean = engine.builds_with_files() == 0 && is_empty(&images);
            (none && clean && engine.shims().is_empty()).then_some(())
        });
        let rebuilt = engine.build(&[("t", "struck")], context());
        let found = engine.output_of(&rebuilt.image(), DESCRIBE);
        assert_eq!(
            found,
            wanted,
            "round {round}: the rebuilt image, after {} cached steps",
            rebuilt.cached()
        );
        engine.forget_builds();
        let leaks = || engine.leaks(&std::collections::BTreeSet::new());
        wait::until(&format!("round {round}: no garbage"), || leaks().is_empty().then_some(()));
    }
}

#[test]
fn a_full_disk_fails_the_build_and_gets_its_space_back() {
    let mut engine = Engine::start();
    engine.stop_daemon();
    let root = engine.data_root();
    let disk = SmallDisk::mount(&engine.directory().join("disk.img"), 96, &root);
    engine.start_daemon();
    engine.import("busybox", berth_tests::rootfs::busybox());
    let _ = engine.build(&[], Context::of("FROM busybox\nRUN true\n")).image();
    engine.forget_builds();
    let before = disk.used();
    let incompressible: Vec<u8> =
        (0..120_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let small = &incompressible[..50_000_000];
    for (what, context, want) in [
        (
            "RUN",
            Context::of("FROM busybox\nRUN dd if=/dev/urandom of=/f bs=1M count=200\n"),
            "returned a non-zero code: 1",
        ),
        (
            "a context",
            Context::of("FROM busybox\nCOPY f /f\n").file("f", &incompressible),
            "as much as is free",
        ),
        (
            "a copy of the context",
            Context::of("FROM busybox\nCOPY f /f\nCOPY f /g\n").file("f", small),
            "no space left on device",
        ),
        (
            "an archive",
            Context::of("FROM busybox\nADD a.tar /f\n")
                .file("a.tar", Context::empty().file("f", small).bytes()),
            "as much as is free",
        ),
        (
            "many files",
            Context::of("FROM busybox\nRUN mkdir /m && cd /m && for i in $(seq 40000); do : > $i; done\n"),
            "non-zero code: 1",
        ),
    ] {
        let built = engine.build(&[("forcerm", "1")], context);
        assert!(built.failure().contains(want), "{what}: {}", built.failure());
        engine.forget_builds();
        wait::until(&format!("{what}: the space is given back"), || {
            let (bytes, inodes) = disk.used();
            (bytes <= before.0 + 2_000_000 && inodes <= before.1 + 20).then_some(())
        });
    }
    assert_eq!(engine.build_and_run(Context::of("FROM busybox\nRUN echo fits > /f\n"), "cat /f"), "fits\n");
    engine.forget_builds();
    let _ = engine.delete("/images/busybox").expect(200);
    engine.stop_daemon();
    drop(disk);
    engine.start_daemon();
}
