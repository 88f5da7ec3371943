//! The engine's database as the daemon finds it: damaged, or written by another version.

use berth_tests::{Engine, merged, sh};
use rusqlite::Connection;
use serde_json::json;

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
    change(&engine, "PRAGMA user_version = 1000;");
    let refusal = engine.refuses_to_start(&[]);
    assert!(refusal.contains("has version 1000 and was written by a later berth"), "{refusal}");
    change(&engine, "PRAGMA user_version = 3;");
    engine.start_daemon();
    assert_eq!(engine.inspect(&id)["Id"], json!(id));
}
