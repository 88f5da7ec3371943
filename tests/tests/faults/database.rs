//! A database that cannot be written, for a moment, for a while, or that waits for its disk: nothing sticks, and
//! only requests that need the disk wait.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth_tests::{Answer, Engine, Options, merged, sh, wait};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

/// The engine's error for a change that it cannot save.
const REFUSED: &str = "cannot save a change in the engine's database";

/// How many writes a container's life has at most.
const WRITES: u64 = 16;

/// A file that makes the database fail or stall while it exists.
struct Fault(PathBuf);

impl Fault {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("berth-database-{name}-{}", std::process::id())))
    }

    /// An engine whose database has this fault.
    fn engine(&self, kind: &str) -> Engine {
        engine(&format!("{kind}:{}", self.0.display()))
    }

    fn begin(&self) {
        std::fs::write(&self.0, "").expect("a file");
    }

    fn end(&self) {
        std::fs::remove_file(&self.0).expect("the file to go");
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn engine(fault: &str) -> Engine {
    let environment = vec![("BERTH_FAULT".to_owned(), fault.to_owned())];
    Engine::start_with(Options { environment, ..Options::default() })
}

/// What the database has of a container's state.
fn saved_state(engine: &Engine, id: &str) -> String {
    let path = engine.data_root().join("state.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database");
    database.query_row("SELECT state FROM containers WHERE id = ?", [id], |row| row.get(0)).expect("its row")
}

#[test]
fn while_nothing_can_be_saved_containers_stay_in_no_phase_between() {
    let fault = Fault::new("full");
    let mut engine = fault.engine("database-fails-while");
    let broken = engine.create(&json!({ "Image": "busybox", "Cmd": ["/no/such"] }));
    let good = engine.create(&sh("exit 3"));
    let named = engine.create_named("named", &sh("true"));
    fault.begin();
    let answer = engine.post(&format!("/containers/{broken}/start")).expect(404);
    assert!(answer.text().contains("no such file or directory"), "{}", answer.text());
    assert_eq!(engine.inspect(&broken)["State"]["ExitCode"], 127);
    engine.start(&good);
    assert_eq!(engine.wait(&good), 3, "it runs and ends all the same");
    for id in [&broken, &good] {
        let answer = engine.delete(&format!("/containers/{id}")).expect(500);
        assert!(answer.text().contains(REFUSED), "{}", answer.text());
        assert_eq!(engine.inspect(id)["State"]["Running"], false);
        assert!(engine.data_root().join("containers").join(id).join("upper").is_dir(), "its files stay");
    }
    let answer = engine.post(&format!("/containers/{named}/rename?name=other")).expect(500);
    assert!(answer.text().contains(REFUSED), "{}", answer.text());
    assert_eq!(engine.inspect("named")["Id"], json!(named));
    let _ = engine.get("/containers/other/json").expect(404);
    let answer = engine.post_json("/containers/create", &sh("true")).expect(500);
    assert!(answer.text().contains(REFUSED), "{}", answer.text());
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json().as_array().map(Vec::len), Some(3));
    fault.end();
    wait::until("the retry", || saved_state(&engine, &good).contains(r#""exit_code":3"#).then_some(()));
    wait::until("the retry", || saved_state(&engine, &broken).contains(r#""exit_code":127"#).then_some(()));
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(engine.inspect(&good)["State"]["ExitCode"], 3);
    assert_eq!(engine.inspect(&broken)["State"]["ExitCode"], 127);
    engine.start(&good);
    assert_eq!(engine.wait(&good), 3);
    for id in [&broken, &good, &named] {
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    }
}

/// Sends a request, and once more when the database refused the first time.
fn insist(step: &str, status: u16, ask: impl Fn() -> Answer) -> Answer {
    let first = ask();
    if first.status() != 500 {
        return first.expect(status);
    }
    assert!(first.text().contains(REFUSED), "{step}: {}", first.text());
    ask().expect(status)
}

#[test]
fn each_write_may_fail_once() {
    for number in 1..=WRITES {
        let engine = engine(&format!("database-fails-at:{number}"));
        let body = merged(sh("sleep 600"), json!({ "Volumes": { "/v": {} } }));
        let made = insist("create", 201, || engine.post_json("/containers/create?name=before", &body));
        let id = made.json()["Id"].as_str().expect("an id").to_owned();
        for (verb, status) in [
            ("start", 204),
            ("pause", 204),
            ("unpause", 204),
            ("rename?name=after", 204),
            ("stop?t=0", 204),
            ("start", 204),
            ("kill", 204),
        ] {
            let _ = insist(verb, status, || engine.post(&format!("/containers/{id}/{verb}")));
        }
        assert_eq!(engine.wait(&id), 137);
        assert_eq!(engine.inspect(&id)["Name"], "/after", "write {number}");
        let _ = insist("rm", 204, || engine.delete(&format!("/containers/{id}?v=1")));
        let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
    }
}

#[test]
fn nobody_waits_for_a_disk_but_who_asked_for_what_must_survive_a_loss_of_power() {
    const CREATES: usize = 24;
    let fault = Fault::new("stall");
    let engine = fault.engine("database-stalls-while");
    let id = engine.run(&sh("echo out; sleep 600"));
    let count = || std::fs::read_dir(engine.data_root().join("containers")).expect("a directory").count();
    let before = count();
    let answered = AtomicUsize::new(0);
    fault.begin();
    std::thread::scope(|scope| {
        for _ in 0..CREATES {
            scope.spawn(|| {
                let _ = engine.create(&sh("true"));
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        wait::until("the creates", || (count() == before + CREATES).then_some(()));
        for _ in 0..20 {
            let _ = engine.get("/_ping").expect(200);
            assert_eq!(
                engine.get("/containers/json?all=1").expect(200).json().as_array().map(Vec::len),
                Some(1)
            );
            assert_eq!(engine.inspect(&id)["Id"], json!(id));
        }
        let _ = engine.get(&format!("/containers/{id}/top")).expect(200);
        let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
        assert_eq!(engine.wait(&id), 137);
        assert_eq!(engine.logs(&id).0, "out\n");
        assert_eq!(answered.load(Ordering::SeqCst), 0, "no create was answered meanwhile");
        fault.end();
    });
    assert_eq!(answered.load(Ordering::SeqCst), CREATES);
}
