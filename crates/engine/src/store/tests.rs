//! The content of the database: rows of every kind, older versions, damage, and failures of the disk.

mod damaged;
mod shapes;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::{ContainerId, ResourceKind};
use rusqlite::Connection;

use super::*;
use crate::pod_role::PodRole;
use crate::record::{Phase, Record};
use crate::recorded_failure::RecordedFailure;

/// A database as the last release without versions left it: one container created, one paused with an exec,
/// one that ended.
const VERSION_0: &str = include_str!("version0.sql");

/// A database of the first release with version 3: a container that runs, with all that it may have, and a process
/// of an exec in it, one that ended, and one that was only made.
const VERSION_3: &str = include_str!("version3.sql");

/// A directory for one test's database.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("berth-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn database(&self) -> PathBuf {
        self.0.join("state.db")
    }

    fn sql(&self, statements: &str) {
        Connection::open(self.database()).expect("a file").execute_batch(statements).expect("SQL");
    }

    fn text(&self, query: &str) -> String {
        let connection = Connection::open(self.database()).expect("a file");
        connection.query_row(query, [], |row| load::text(row, 0)).expect("a row")
    }

    fn open(&self) -> (Database, Saved) {
        self.open_with(Faults::None)
    }

    fn open_with(&self, faults: Faults) -> (Database, Saved) {
        Database::open(&self.database(), faults).expect("the database")
    }

    /// The state for the next daemon.
    fn saved(&self) -> Saved {
        self.open().1
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The containers of version 0 by name, to have some.
fn records() -> Vec<Record> {
    let directory = Directory::new();
    directory.sql(VERSION_0);
    let mut records = directory.saved().containers;
    records.sort_by(|one, other| one.name.cmp(&other.name));
    records
}

fn record(number: u8) -> Arc<Record> {
    let mut record = records().remove(0);
    record.id = ContainerId::from_random([number; 32]);
    record.name = format!("container{number}");
    Arc::new(record)
}

#[test]
fn version_0_becomes_the_present_version_and_loses_nothing() {
    let directory = Directory::new();
    directory.sql(VERSION_0);
    let before = directory.saved();
    let saved = directory.saved();
    let mut names: Vec<&str> = saved.containers.iter().map(|record| record.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["created", "linked", "running"]);
    let by_name = |name: &str| saved.containers.iter().find(|record| record.name == name).expect(name);
    let created = by_name("created");
    assert_eq!(created.phase, Phase::Created);
    assert_eq!(
        created.settings.labels.as_ref().and_then(|labels| labels.get("tier")),
        Some(&"web".to_owned())
    );
    let mounts: Vec<_> =
        created.mounts.iter().map(|mount| (mount.destination.as_str(), mount.writable)).collect();
    assert_eq!(mounts, [("/named", false), ("/host", true), ("/data", true)]);
    let running = by_name("running");
    assert!(running.is_paused() && running.pid() > 0 && running.cgroups.len() == 10, "{running:?}");
    let endpoint = running.bridge_lease().expect("its place in the network");
    assert_eq!((endpoint.container.as_str(), endpoint.ports.len()), (running.id.as_str(), 1));
    let linked = by_name("linked");
    assert_eq!((linked.phase, linked.exit_code, linked.exits), (Phase::Exited, 3, 1));
    assert_eq!(linked.links.get("other"), Some(&running.id));
    let anonymous: Vec<bool> = saved.volumes.iter().map(|volume| volume.anonymous).collect();
    assert_eq!(anonymous.iter().filter(|anonymous| **anonymous).count(), 1, "{anonymous:?}");
    assert_eq!((saved.volumes.len(), saved.volumes[0].driver.name()), (2, "local"));
    assert_eq!(saved.execs.len(), 1);
    assert_eq!(saved.execs[0].document.config.cmd, ["sleep", "500"]);
    let create =
        saved.events.iter().find(|(_, event)| event.action == model::EventAction::Create).expect("an event");
    assert_eq!((create.1.kind, create.1.actor.id.as_str()), (ResourceKind::Container, created.id.as_str()));
    assert_eq!(create.1.actor.attributes["tier"], "web");
    assert_eq!(saved.identity, before.identity);
    assert!(saved.identity.is_some());
    assert_eq!(directory.text("SELECT count(*) FROM unreadable"), "0");
    assert_eq!(directory.text("PRAGMA user_version"), "4");
}

#[test]
fn version_3_of_an_earlier_release_is_read_whole_and_saved_again_with_all_that_it_has() {
    let (earlier, present) = (Directory::new(), Directory::new());
    earlier.sql(VERSION_3);
    let saved = earlier.saved();
    assert_eq!(earlier.text("SELECT count(*) FROM unreadable"), "0");
    let web = saved.containers.iter().find(|record| record.name == "web").expect("the one that runs");
    assert!(web.is_running() && web.has_names(), "{web:?}");
    let health = web.health.as_ref().expect("its health");
    assert_eq!((health.status, health.log.len()), (model::HealthStatus::Healthy, 1));
    assert_eq!((saved.containers.len(), saved.execs.len(), saved.volumes.len()), (3, 1, 2));
    assert_eq!((saved.networks.len(), saved.events.len()), (4, 6));
    let mut rows: Vec<Row> =
        saved.containers.into_iter().map(|record| Row::Container(Arc::new(record))).collect();
    rows.extend(saved.execs.into_iter().map(Row::Exec));
    rows.extend(saved.volumes.into_iter().map(Row::Volume));
    rows.extend(saved.networks.into_iter().map(Row::Network));
    let (database, _) = present.open();
    database.write(rows, Durability::PowerLoss).wait_blocking().expect("written");
    drop(database);
    for table in [
        "SELECT json_group_array(json_array(id, name, json(settings), json(state))) FROM containers",
        "SELECT json_group_array(json_array(id, container, json(document))) FROM execs",
        "SELECT json_group_array(json_array(id, name, json(document))) FROM networks",
        "SELECT json_group_array(json_array(name, driver, options, labels, anonymous, created)) FROM volumes",
    ] {
        let rows = |directory: &Directory| -> serde_json::Value {
            serde_json::from_str(&directory.text(table)).expect("JSON")
        };
        let (before, after) = (rows(&earlier), rows(&present));
        assert!(has_all(&after, &before), "{after:#}\nlacks something of\n{before:#}");
    }
}

/// Whether a document has everything that another has, whatever else it has.
fn has_all(document: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    match (document, wanted) {
        (serde_json::Value::Object(document), serde_json::Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| document.get(name).is_some_and(|value| has_all(value, wanted)))
        }
        (serde_json::Value::Array(document), serde_json::Value::Array(wanted)) => {
            document.len() == wanted.len()
                && document.iter().zip(wanted).all(|(value, wanted)| has_all(value, wanted))
        }
        (document, wanted) => document == wanted,
    }
}

#[test]
fn a_failure_is_saved_as_its_cause_and_read_of_earlier_releases_too() {
    let directory = Directory::new();
    directory.sql(VERSION_3);
    directory.sql(
        "UPDATE containers SET state = json_set(state, '$.error', '[8] System error: no such file')
             WHERE name = 'once';
         UPDATE containers SET state = json_set(state, '$.error', 'the disk is full') WHERE name = 'made';",
    );
    let (database, saved) = directory.open();
    let failure = |saved: &Saved, name: &str| {
        saved.containers.iter().find(|record| record.name == name).expect(name).failure.clone()
    };
    let expected = [
        ("once", Some(RecordedFailure::System("no such file".to_owned()))),
        ("made", Some(RecordedFailure::Other("the disk is full".to_owned()))),
        ("web", None),
    ];
    for (name, expected) in &expected {
        assert_eq!(failure(&saved, name), *expected, "{name}");
    }
    let rows = saved.containers.iter().map(|record| Row::Container(Arc::new(record.clone()))).collect();
    database.write(rows, Durability::PowerLoss).wait_blocking().expect("written");
    drop(database);
    assert_eq!(
        directory.text("SELECT json_extract(state, '$.error') FROM containers WHERE name = 'once'"),
        "no such file"
    );
    let saved = directory.saved();
    for (name, expected) in &expected {
        assert_eq!(failure(&saved, name), *expected, "{name}");
    }
}

/// The error in the record of a row that could not be read.
fn damage(record: &Record) -> &str {
    record.failure.as_ref().map_or("", RecordedFailure::cause)
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let directory = Directory::new();
    let records = records();
    let (database, _) = directory.open();
    let rows = records.iter().map(|record| Row::Container(Arc::new(record.clone()))).collect();
    database.write(rows, Durability::PowerLoss).wait_blocking().expect("written");
    drop(database);
    let mut saved = directory.saved().containers;
    saved.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(format!("{saved:?}"), format!("{records:?}"));
}

#[test]
fn a_row_that_cannot_be_read_is_moved_aside_and_its_container_has_ended() {
    let directory = Directory::new();
    directory.sql(VERSION_0);
    drop(directory.open());
    directory.sql(
        "UPDATE containers SET settings = '{' WHERE name = 'created';
         UPDATE containers SET state = x'ff00' WHERE name = 'linked';
         INSERT INTO containers (id, name, settings, state) VALUES ('no id', 'stranger', '', '');
         UPDATE execs SET document = '[]';
         UPDATE volumes SET labels = 'none' WHERE name = 'named';
         UPDATE events SET document = '' WHERE number = 1;
         INSERT INTO events SELECT -1, document FROM events WHERE number = 2;
         INSERT INTO events SELECT 9223372036854775807, document FROM events WHERE number = 2;",
    );
    for opened in 1..=2 {
        let saved = directory.saved();
        let by_name = |name: &str| saved.containers.iter().find(|record| record.name == name).expect(name);
        assert_eq!(saved.containers.len(), 3, "opened {opened} times");
        let created = by_name("created");
        assert_eq!((created.phase, created.damaged), (Phase::Created, true));
        assert!(damage(created).starts_with("its settings cannot be read: "), "{}", damage(created));
        assert_eq!(created.mounts.len(), 3, "what can be read is kept");
        let linked = by_name("linked");
        assert_eq!((linked.phase, linked.damaged), (Phase::Exited, false));
        assert!(damage(linked).starts_with("its state cannot be read: "), "{}", damage(linked));
        assert_eq!(linked.path, "sh");
        assert!(by_name("running").is_paused());
        assert_eq!(saved.execs.len(), 0);
        assert!(saved.volumes.iter().any(|volume| volume.name == "named" && !volume.anonymous));
        assert!(saved.events.iter().all(|(number, _)| *number != 1 && *number < 1 << 40));
        assert_eq!(directory.text("SELECT count(*) FROM unreadable"), "8");
    }
    let id = directory.text("SELECT id FROM containers WHERE name = 'created'");
    let content = directory.text(&format!("SELECT content FROM unreadable WHERE key = '{id}'"));
    assert!(content.contains(r#""settings":"{""#), "{content}");
    let (database, _) = directory.open();
    let gone = Row::NoContainer(ContainerId::parse(&id).expect("an id"));
    database.write(vec![gone], Durability::Crash).wait_blocking().expect("removed");
    assert_eq!(directory.text(&format!("SELECT count(*) FROM unreadable WHERE key = '{id}'")), "0");
}

#[test]
fn a_document_of_version_0_that_cannot_be_read_is_moved_aside() {
    let directory = Directory::new();
    directory.sql(VERSION_0);
    directory.sql("UPDATE containers SET document = 'torn' WHERE document LIKE '%\"name\":\"linked\"%';");
    let saved = directory.saved();
    let torn = saved.containers.iter().find(|record| record.damaged).expect("the torn one");
    assert_eq!((torn.phase, torn.name.as_str()), (Phase::Exited, torn.id.short()));
    assert_eq!(saved.containers.len(), 3);
    assert!(directory.text("SELECT content FROM unreadable").contains("torn"));
}

#[test]
fn what_waits_together_is_written_with_one_commit() {
    let directory = Directory::new();
    let stall = directory.0.join("stall");
    std::fs::write(&stall, "").expect("a file");
    let (database, _) = directory.open_with(Faults::StallWhile(stall.clone()));
    let write = |number| database.write(vec![Row::Container(record(number))], Durability::PowerLoss);
    let first = write(0);
    // The writer takes the first alone, and stalls at its commit.
    while database.queue.is_waiting() {
        std::thread::yield_now();
    }
    let later: Vec<Written> = (1..=50).map(write).collect();
    std::fs::remove_file(&stall).expect("the stall's end");
    for written in std::iter::once(first).chain(later) {
        written.wait_blocking().expect("written");
    }
    assert_eq!(database.queue.commits(), 2);
    drop(database);
    assert_eq!(directory.saved().containers.len(), 51);
}

#[test]
fn what_nobody_waits_for_is_written_with_the_next_change_and_without_one_too() {
    let directory = Directory::new();
    let (database, _) = directory.open();
    let rows = || directory.text("SELECT CAST(count(*) AS TEXT) FROM containers");
    database.keep_soon(vec![Row::Container(record(0))]);
    database.write(vec![Row::Container(record(1))], Durability::Crash).wait_blocking().expect("written");
    assert_eq!(rows(), "2", "what was asked for before is written before");
    database.keep_soon(vec![Row::Container(record(2))]);
    while rows() != "3" {
        std::thread::yield_now();
    }
    database.keep_soon(vec![Row::Container(record(3))]);
    drop(database);
    assert_eq!(rows(), "4");
}

#[test]
fn what_follows_a_write_is_tried_before_the_answer_and_never_follows_one_that_failed() {
    let directory = Directory::new();
    let (database, _) = directory.open_with(Faults::FailAt(3));
    let database = Arc::new(database);
    let write = |number: u8| {
        let (own, follower) = (Arc::clone(&database), Row::Container(record(number + 1)));
        let then = move || own.keep(vec![follower]).forget();
        database.write_then(vec![Row::Container(record(number))], Durability::PowerLoss, then).wait_blocking()
    };
    let names =
        || directory.text("SELECT group_concat(name) FROM (SELECT name FROM containers ORDER BY name)");
    write(1).expect("written");
    assert_eq!(names(), "container1,container2");
    write(3).expect_err("the third write fails");
    assert_eq!(names(), "container1,container2");
    drop(database);
    assert_eq!(directory.saved().containers.len(), 2, "nothing was kept for a retry");
}

#[test]
fn a_durable_write_that_fails_leaves_later_ones_as_quick_as_before() {
    let directory = Directory::new();
    let full = directory.0.join("full");
    std::fs::write(&full, "").expect("a file");
    let mut connection = schema::open(&directory.database()).expect("a database");
    drop(load::read(&mut connection).expect("its rows"));
    let queue = Arc::new(Queue::default());
    let mut writer = Writer::new(connection, Arc::clone(&queue), Faults::FailWhile(full.clone()));
    let mut write = |durability| {
        let (done, written) = oneshot::channel();
        let rows = vec![Row::Container(record(1))];
        writer.write(vec![Change { rows, durability, attempts: Attempts::One, done, then: None }]);
        (Written(written).wait_blocking().is_ok(), writer.synchronous())
    };
    assert_eq!(write(Durability::PowerLoss), (false, 2), "2 is FULL");
    std::fs::remove_file(&full).expect("room");
    assert_eq!(write(Durability::Crash), (true, 1), "1 is NORMAL: no fsync");
    assert_eq!(write(Durability::PowerLoss), (true, 2));
}

#[test]
fn what_cannot_be_written_is_retried_in_order_until_it_is() {
    let directory = Directory::new();
    let full = directory.0.join("full");
    std::fs::write(&full, "").expect("a file");
    let (database, _) = directory.open_with(Faults::FailWhile(full.clone()));
    let named = |name: &str| {
        let mut record = Record::clone(&record(1));
        record.name = name.to_owned();
        Row::Container(Arc::new(record))
    };
    let failed = database.write(vec![Row::Container(record(2))], Durability::Crash).wait_blocking();
    assert_eq!(failed.expect_err("a full disk").to_string(), "cannot save a change in the engine's database");
    for name in ["first", "second", "third"] {
        assert!(database.keep(vec![named(name)]).wait_blocking().is_err());
    }
    std::fs::remove_file(&full).expect("room");
    drop(database);
    let names: Vec<String> = directory.saved().containers.into_iter().map(|record| record.name).collect();
    assert_eq!(names, ["third"], "the last of the one, nothing of what is tried once");
    let (database, _) = directory.open_with(Faults::FailAt(1));
    assert!(database.keep(vec![named("fourth")]).wait_blocking().is_err());
    database.keep(vec![named("fifth")]).wait_blocking().expect("the second write");
    drop(database);
    let names: Vec<String> = directory.saved().containers.into_iter().map(|record| record.name).collect();
    assert_eq!(names, ["fifth"], "an older one that failed does not come back");
}
