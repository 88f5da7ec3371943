//! A disk that containers have filled: images and containers can be removed all the same, and make room.

use berth_tests::registry::{Content, Server, noise, pull, tar_of};
use berth_tests::{Context, Engine, SmallDisk, merged, rootfs, sh, wait};
use serde_json::json;

/// Takes all that is left, however the file system hands it out, and keeps it.
const FILL: &str = "dd if=/dev/zero of=/large bs=1M 2>/dev/null; dd if=/dev/zero of=/small bs=512 2>/dev/null; \
    i=0; while echo $i > /f$i; do i=$((i+1)); done 2>/dev/null; echo > /marks/$HOSTNAME; sleep 600";

/// Has an image whose layer takes 20 MB.
fn import_large(engine: &Engine) {
    let archive = Context::empty().file("large", vec![7; 20_000_000]).bytes();
    engine.import("large", &archive);
}

/// Runs a container that fills the disk, and waits until it has.
fn fill(engine: &Engine) -> String {
    let marks = engine.directory().join("marks");
    let bind = format!("{}:/marks", marks.display());
    let id = engine.run(&merged(sh(FILL), json!({ "HostConfig": { "Binds": [bind] } })));
    wait::until("the full disk", || marks.join(&id[..12]).exists().then_some(()));
    id
}

fn names(engine: &Engine) -> String {
    engine.get("/images/json").expect(200).text()
}

#[test]
fn images_are_removed_from_a_full_disk() {
    let mut engine = Engine::start();
    engine.stop_daemon();
    let root = engine.data_root();
    let disk = SmallDisk::mount(&engine.directory().join("disk.img"), 96, &root);
    engine.start_daemon();
    engine.import("busybox", rootfs::busybox());
    for restarted in [false, true] {
        import_large(&engine);
        let container = fill(&engine);
        let full = disk.free();
        if restarted {
            engine.stop_daemon();
            engine.start_daemon();
        }
        let _ = engine.delete("/images/large").expect(200);
        assert!(!names(&engine).contains("large:latest"), "restarted: {restarted}");
        wait::until("the room that the image took", || (disk.free() > full + 19_000_000).then_some(()));
        assert_eq!(engine.state(&container, "Running"), true);
        engine.kill_daemon();
        engine.start_daemon();
        assert!(!names(&engine).contains("large:latest"), "it came back");
        engine.remove(&container);
        assert_eq!(engine.output(&sh("echo fits > /f; cat /f")).stdout, "fits\n");
    }
    let container = fill(&engine);
    engine.remove(&container);
    let _ = engine.delete("/images/busybox").expect(200);
    engine.stop_daemon();
    drop(disk);
    engine.start_daemon();
}

#[test]
fn a_pull_for_which_there_is_no_room_leaves_nothing() {
    let mut engine = Engine::start();
    engine.stop_daemon();
    let root = engine.data_root();
    let disk = SmallDisk::mount(&engine.directory().join("disk.img"), 40, &root);
    engine.start_daemon();
    let mut content = Content::default();
    let layers = (1..=3).map(|number| tar_of(&[(&format!("file{number}"), &noise(number, 7_000_000))]));
    let _ = content.image("v1", &layers.collect::<Vec<_>>());
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let failure = pull(&engine.at("1.55"), "127.0.0.1:5000/a", "v1", &[]);
    let error = failure.error.as_deref().expect("a failure");
    assert!(error.contains("no space left on device"), "{error}");
    let count = |directory: &str| std::fs::read_dir(root.join(directory)).expect(directory).count();
    assert_eq!((count("images/blobs/sha256"), count("images/layers")), (0, 0));
    drop(server);
    engine.stop_daemon();
    drop(disk);
    engine.start_daemon();
}
