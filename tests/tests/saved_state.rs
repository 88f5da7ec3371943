//! The engine's database as the daemon finds it: damaged, or written by another version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use berth_tests::{Engine, merged, rootfs, sh};
use rusqlite::Connection;
use serde_json::{Value, json};

fn change(engine: &Engine, statements: &str) {
    let database = Connection::open(engine.data_root().join("state.db")).expect("the database");
    database.execute_batch(statements).expect("the change");
}

#[test]
fn a_container_whose_row_cannot_be_read_has_ended_and_can_be_removed() {
    let mut engine = Engine::start();
    let torn = engine.create_named("torn", &merged(sh("true"), json!({ "Volumes": { "/v": {} } })));
    let whole = engine.create_named("whole", &sh("exit 4"));
    let running = engine.run(&sh("sleep 600"));
    engine.stop_daemon();
    change(
        &engine,
        &format!(
            "UPDATE containers SET settings = 'torn' WHERE name = 'torn';
             UPDATE containers SET state = 'torn' WHERE id = '{running}';"
        ),
    );
    for _ in 0..2 {
        engine.start_daemon();
        let seen = engine.inspect("torn");
        assert_eq!(seen["Id"], json!(torn));
        let cause = seen["State"]["Error"].as_str().expect("a text").to_owned();
        assert!(cause.starts_with("its settings cannot be read: "), "{cause}");
        let answer = engine.post("/containers/torn/start").expect(500);
        assert_eq!(
            answer.text(),
            "Cannot start container torn: its settings could not be read when the engine started\n"
        );
        assert!(engine.log().contains("the table containers cannot be read and is moved aside"));
        assert_eq!(engine.state(&running, "Running"), true, "what runs is found by its shim");
        engine.stop_daemon();
        change(&engine, "UPDATE containers SET settings = 'torn' WHERE name = 'torn';");
    }
    engine.start_daemon();
    let _ = engine.delete("/containers/torn?v=1").expect(204);
    engine.start(&whole);
    assert_eq!(engine.wait(&whole), 4);
    engine.remove(&running);
}

#[test]
fn a_volume_whose_name_is_a_path_is_no_volume() {
    let mut engine = Engine::start();
    let _ = engine.at("1.44").post_json("/volumes/create", &json!({ "Name": "kept" })).expect(201);
    let outside = engine.data_root().parent().expect("a parent").join("outside");
    std::fs::create_dir_all(outside.join("_data")).expect("a directory");
    engine.stop_daemon();
    for name in ["../../outside", "..", ".", "", "a/b", "kept/../../../outside"] {
        let values = "driver, options, labels, 1, created FROM volumes WHERE name = 'kept'";
        change(
            &engine,
            &format!(
                "INSERT INTO volumes (name, driver, options, labels, anonymous, created) SELECT '{name}', {values}"
            ),
        );
    }
    for _ in 0..2 {
        engine.start_daemon();
        let names = engine.at("1.44").get("/volumes").expect(200).json()["Volumes"].clone();
        let names: Vec<_> =
            names.as_array().expect("a list").iter().map(|volume| volume["Name"].clone()).collect();
        assert_eq!(names, [json!("kept")]);
        let pruned = engine.at("1.44").post("/volumes/prune").expect(200).json();
        assert_eq!(pruned["VolumesDeleted"], json!([]));
        assert!(outside.join("_data").exists());
        engine.stop_daemon();
    }
    // For an administrator who checks what happened to them.
    change(&engine, "DELETE FROM unreadable WHERE origin = 'volumes'");
    engine.start_daemon();
    let _ = engine.at("1.44").delete("/volumes/kept").expect(204);
}

#[test]
fn a_later_version_is_refused_in_clear_words() {
    let mut engine = Engine::start();
    let id = engine.create(&sh("true"));
    engine.stop_daemon();
    let database = Connection::open(engine.data_root().join("state.db")).expect("the database");
    let version: u32 =
        database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("its version");
    drop(database);
    change(&engine, "PRAGMA user_version = 1000;");
    let refusal = engine.refuses_to_start(&[]);
    assert!(refusal.contains("has version 1000 and was written by a later berth"), "{refusal}");
    change(&engine, &format!("PRAGMA user_version = {version};"));
    engine.start_daemon();
    assert_eq!(engine.inspect(&id)["Id"], json!(id));
}

/// What can become of a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Emptied,
    Garbage,
    Truncated,
    /// The page in the middle.
    Page,
}

const DAMAGES: [Damage; 4] = [Damage::Emptied, Damage::Garbage, Damage::Truncated, Damage::Page];

/// Damages a database that nobody has open.
fn damage(path: &Path, damage: Damage) {
    const PAGE: usize = 4096;
    // Its rows are in its own file, and not in the log.
    let database = Connection::open(path).expect("the database");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("moved");
    drop(database);
    let mut bytes = std::fs::read(path).expect("its bytes");
    let middle = bytes.len() / PAGE / 2 * PAGE;
    match damage {
        Damage::Emptied => bytes.clear(),
        Damage::Garbage => bytes.fill(0x5a),
        Damage::Truncated => bytes.truncate(middle + 100),
        Damage::Page => bytes[middle..middle + PAGE].fill(0xa5),
    }
    std::fs::write(path, bytes).expect("damaged");
}

/// The databases that a daemon has set aside, with their logs.
fn set_aside(database: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(database.parent().expect("a directory")).expect("its files").flatten();
    let is_one = |path: &PathBuf| path.to_string_lossy().contains(".db.damaged-");
    entries.map(|entry| entry.path()).filter(is_one).collect()
}

fn ids(engine: &Engine) -> BTreeSet<String> {
    let listed = engine.get("/containers/json?all=1").expect(200).json();
    let listed = listed.as_array().expect("a list");
    listed.iter().map(|container| container["Id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_database_that_is_damaged_is_set_aside_and_nothing_on_the_disk_is_deleted() {
    for kind in DAMAGES {
        let mut engine = Engine::start();
        let bound = json!({ "HostConfig": { "Binds": ["data:/data"] } });
        let running = engine.create_named("web", &merged(sh("echo kept > /data/file; sleep 600"), bound));
        engine.start(&running);
        let pid = engine.pid(&running);
        let mut all: BTreeSet<String> = (0..12).map(|_| engine.create(&sh("true"))).collect();
        all.insert(running.clone());
        let content = engine.data_root().join("volumes/data/_data/file");
        berth_tests::wait::until("the volume's file", || content.exists().then_some(()));
        engine.stop_daemon();
        let database = engine.data_root().join("state.db");
        damage(&database, kind);
        for opened in 1..=2 {
            engine.start_daemon();
            assert_eq!(ids(&engine), all, "{kind:?}, opened {opened} times");
            assert_eq!(engine.state("web", "Running"), true, "{kind:?}: what runs goes on");
            assert_eq!(engine.pid(&running), pid, "{kind:?}");
            let volumes = engine.at("1.44").get("/volumes").expect(200).json()["Volumes"].clone();
            assert_eq!(volumes[0]["Name"], json!("data"), "{kind:?}");
            let pruned = engine.at("1.41").post("/volumes/prune").expect(200).json();
            assert_eq!(pruned["VolumesDeleted"], json!([]), "{kind:?}: a container has it mounted");
            let images =
                engine.at("1.44").post("/images/prune?filters={\"dangling\":[\"0\"]}").expect(200).json();
            assert_eq!(images["ImagesDeleted"], Value::Null, "{kind:?}: a container uses it");
            assert_eq!(std::fs::read_to_string(&content).expect("it"), "kept\n");
            assert!(engine.log().contains("the engine's database"), "{kind:?}: {}", engine.log());
            assert!(!set_aside(&database).is_empty(), "{kind:?}");
            engine.stop_daemon();
        }
        engine.start_daemon();
        for id in &all {
            engine.remove(id);
        }
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{kind:?}: it was ended");
        let _ = engine.at("1.44").delete("/volumes/data").expect(204);
        assert!(!content.exists());
        set_aside(&database).iter().for_each(|path| std::fs::remove_file(path).expect("deleted"));
    }
}

#[test]
fn what_an_earlier_daemon_did_not_come_to_find_is_found_by_the_next() {
    let mut engine = Engine::start();
    let bound = json!({ "HostConfig": { "Binds": ["data:/data"] } });
    let running = engine.create_named("web", &merged(sh("echo kept > /data/file; sleep 600"), bound));
    engine.start(&running);
    let pid = engine.pid(&running);
    let all = BTreeSet::from([running.clone(), engine.create(&sh("true"))]);
    let content = engine.data_root().join("volumes/data/_data/file");
    berth_tests::wait::until("the volume's file", || content.exists().then_some(()));
    engine.stop_daemon();
    // As if it had ended as soon as the new database stood in its place.
    change(&engine, "DELETE FROM containers; DELETE FROM volumes;");
    let aside = engine.data_root().join("state.db.damaged-1");
    std::fs::write(&aside, "").expect("a file");
    for opened in 1..=2 {
        engine.start_daemon();
        assert_eq!(ids(&engine), all, "opened {opened} times");
        assert_eq!(engine.state("web", "Running"), true);
        assert_eq!(engine.pid(&running), pid);
        assert_eq!(std::fs::read_to_string(&content).expect("it"), "kept\n");
        engine.stop_daemon();
        if opened == 1 {
            std::fs::remove_file(&aside).expect("deleted");
        }
    }
    engine.start_daemon();
    for id in &all {
        engine.remove(id);
    }
    let _ = engine.at("1.44").delete("/volumes/data").expect(204);
    assert!(!content.exists());
}

/// The directories of all layers.
fn layers(engine: &Engine) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(engine.data_root().join("images/layers")).expect("layers").flatten();
    entries.map(|entry| entry.path()).collect()
}

#[test]
fn an_image_database_that_is_damaged_is_set_aside_and_no_layer_is_deleted() {
    for kind in DAMAGES {
        let mut engine = Engine::start();
        let container = engine.run(&sh("sleep 600"));
        for number in 0..6 {
            let tag = format!("/images/busybox/tag?repo=other{number}&tag=latest");
            let _ = engine.post(&tag).expect(201);
        }
        let before = layers(&engine);
        engine.stop_daemon();
        let database = engine.data_root().join("images/images.db");
        damage(&database, kind);
        for opened in 1..=2 {
            engine.start_daemon();
            assert!(layers(&engine).is_superset(&before), "{kind:?}, opened {opened} times");
            assert_eq!(engine.state(&container, "Running"), true, "{kind:?}");
            assert_eq!(engine.exec(&container, &["echo", "goes on"]).stdout, "goes on\n", "{kind:?}");
            assert!(!set_aside(&database).is_empty(), "{kind:?}");
            engine.stop_daemon();
        }
        engine.start_daemon();
        assert!(engine.log().contains("the image database"), "{kind:?}: {}", engine.log());
        engine.import("busybox", rootfs::busybox());
        let again = engine.create(&sh("exit 3"));
        engine.start(&again);
        assert_eq!(engine.wait(&again), 3, "{kind:?}");
        engine.remove(&again);
        engine.remove(&container);
        engine.stop_daemon();
        set_aside(&database).iter().for_each(|path| std::fs::remove_file(path).expect("deleted"));
        engine.start_daemon();
        let images = engine.get("/images/json?all=1").expect(200).json();
        for image in images.as_array().expect("a list") {
            let id = image["Id"].as_str().expect("an id");
            let _ = engine.delete(&format!("/images/{id}?force=1")).expect(200);
        }
        assert_eq!(layers(&engine), BTreeSet::new(), "{kind:?}: what was kept goes with the damaged file");
    }
}
