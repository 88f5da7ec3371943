//! `GET /containers/{id}/logs?follow=1`: each line once, whatever happens to the files, and no cost for waiting
//! followers.

use berth_tests::frames;
use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn a_follower_sees_each_line_once_over_rotations_and_ends_with_the_container() {
    let engine = Engine::start();
    let log = json!({ "Type": "json-file", "Config": { "max-size": "10k", "max-file": "50" } });
    let script = "read go; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 100)) -ne 0 ] || sleep 0.05; done; printf last";
    let body = merged(sh(script), json!({ "OpenStdin": true, "HostConfig": { "LogConfig": log } }));
    let id = engine.run(&body);
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let mut followers: Vec<_> = (0..3).map(|_| engine.open("GET", &path, &[], b"")).collect();
    engine.attach(&id, "stream=1&stdin=1").send(b"\n").expect("stdin");
    let wanted: String = (1..=3000).map(|number| format!("{number}\n")).chain(["last".to_owned()]).collect();
    for (head, follower) in &mut followers {
        let body = follower.read_body("GET", head).expect("the log up to its end");
        assert_eq!(String::from_utf8_lossy(&frames::split(&body).0), wanted);
    }
    let directory = std::path::PathBuf::from(engine.inspect(&id)["LogPath"].as_str().expect("a path"));
    let files = std::fs::read_dir(directory.parent().expect("a directory")).expect("the directory").flatten();
    let files = files.filter(|entry| entry.file_name().to_string_lossy().contains("-json.log")).count();
    assert!(files > 10, "it was rotated: {files} files");
}

#[test]
fn a_follower_sees_each_line_once_over_many_rotations() {
    let engine = Engine::start();
    // It writes on when the follower has what was written: never more than eight files hold.
    let script = "i=0; while read x; do n=0; while [ $n -lt 400 ]; do i=$((i+1)); n=$((n+1)); echo line $i; done; done";
    let log = json!({ "Type": "json-file", "Config": { "max-size": "10k", "max-file": "8" } });
    let more = json!({ "OpenStdin": true, "HostConfig": { "LogConfig": log } });
    let id = engine.run(&merged(sh(script), more));
    let mut stdin = engine.attach(&id, "stream=1&stdin=1");
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let (head, mut following) = engine.open("GET", &path, &upgrade, b"");
    assert_eq!(head.status, 101);
    let mut found = Vec::new();
    for round in 1..=8 {
        stdin.send(b"\n").expect("stdin");
        let last = format!("line {}\n", round * 400);
        found.extend(frames::read_until(&mut following, frames::STDOUT, last.as_bytes()).expect("the lines"));
    }
    let wanted: String = (1..=3200).map(|number| format!("line {number}\n")).collect();
    let found = String::from_utf8(found).expect("text");
    assert!(found == wanted, "{} of {} lines", found.lines().count(), wanted.lines().count());
    let path = engine.inspect(&id)["LogPath"].as_str().expect("a path").to_owned();
    assert!(std::path::Path::new(&format!("{path}.7")).exists(), "it has rotated");
    assert!(!std::path::Path::new(&format!("{path}.8")).exists());
}

/// How many threads a process has.
fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process").count()
}

/// How many reads a process has made.
fn reads(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("a process");
    let count = text.lines().find_map(|line| line.strip_prefix("syscr: "));
    count.and_then(|count| count.parse().ok()).expect("a number")
}

/// How much processor time a process has used, in the clock ticks of proc_pid_stat(5): hundredths of a second.
fn processor_ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // The name before may hold anything; the times are fields 14 and 15.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[test]
fn quiet_followers_cost_neither_threads_nor_looks_at_their_logs_and_each_is_woken_by_a_line() {
    const FOLLOWERS: usize = 1000;
    let engine = Engine::start();
    let id = engine.run(&merged(sh("echo begun; cat"), json!({ "OpenStdin": true })));
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let mut followers: Vec<_> = (0..FOLLOWERS).map(|_| engine.open("GET", &path, &[], b"").1).collect();
    for follower in &mut followers {
        let _ = follower.read_until(b"begun\n").expect("what was written before");
    }
    // Threads that have read the beginning end when they have been idle for a while.
    berth_tests::wait::until("the readers' threads to end", || {
        (threads(engine.daemon_pid()) < 30).then_some(())
    });
    let shims = engine.shims();
    assert_eq!(shims.len(), 1);
    let other = engine.run(&sh("sleep 3"));
    let reads_of_shims = || shims.iter().map(|shim| reads(*shim)).sum::<u64>();
    let (reads_before, ticks_before) = (reads(engine.daemon_pid()), processor_ticks(engine.daemon_pid()));
    let shims_before = reads_of_shims();
    // Followers that looked every quarter of a second would do so twelve times meanwhile, for seconds of a processor.
    assert_eq!(engine.wait(&other), 0);
    let more = reads(engine.daemon_pid()) - reads_before;
    assert!(more < FOLLOWERS as u64, "{more} reads for {FOLLOWERS} quiet followers");
    let more = reads_of_shims() - shims_before;
    assert!(more < FOLLOWERS as u64, "{more} reads of the shim for {FOLLOWERS} quiet followers");
    let ticks = processor_ticks(engine.daemon_pid()) - ticks_before;
    assert!(ticks < 20, "{ticks} ticks of a processor for {FOLLOWERS} quiet followers");
    assert!(threads(engine.daemon_pid()) < 60, "{} threads", threads(engine.daemon_pid()));
    engine.attach(&id, "stream=1&stdin=1").send(b"woken\n").expect("stdin");
    for follower in &mut followers {
        let _ = follower.read_until(b"woken\n").expect("what was written since");
    }
}

#[test]
fn a_log_that_takes_long_to_open_holds_up_nobody_else() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo line"));
    assert_eq!(engine.wait(&id), 0);
    let path = engine.inspect(&id)["LogPath"].as_str().expect("a path").to_owned();
    std::fs::remove_file(&path).expect("the log to go");
    // Opening it waits for a writer.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO");
    let requests = 2 * std::thread::available_parallelism().map_or(8, usize::from) + 2;
    std::thread::scope(|scope| {
        let read = || engine.get(&format!("/containers/{id}/logs?stdout=1&tail=1")).status();
        let readers: Vec<_> = (0..requests).map(|_| scope.spawn(read)).collect();
        let line = format!("GET /v1.20/containers/{id}/logs");
        berth_tests::wait::until("the requests", || {
            (engine.log().matches(&line).count() == requests).then_some(())
        });
        let _ = engine.get("/_ping").expect(200);
        assert_eq!(engine.get("/containers/json?all=1").expect(200).json()[0]["Id"], id.as_str());
        assert!(readers.iter().all(|reader| !reader.is_finished()), "they wait for the log");
        let writer = std::fs::File::options().write(true).open(&path).expect("somebody reads");
        for reader in readers {
            assert_eq!(reader.join().expect("an answer"), 500, "a FIFO has no end to begin at");
        }
        drop(writer);
    });
}
