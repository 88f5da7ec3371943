//! Clients that stall: they request streams and do not read them.

use berth_tests::sh;

use super::Target;

/// What the container writes: much more than any buffer on the way, and than the daemon may use.
const WRITTEN: &str = "dd if=/dev/zero bs=1048576 count=160 2>/dev/null | tr '\\0' x";

#[test]
fn clients_that_do_not_read_cost_no_memory() {
    let engine = Target::start();
    let id = engine.create(&sh(&format!("{WRITTEN} | fold -w 1000")));
    let silent = engine.attach(&id, "stream=1&stdout=1&stderr=1");
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0, "a client that does not read does not hold up its container");
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let stalled: Vec<_> = (0..8).map(|_| engine.open("GET", &path, &[], b"")).collect();
    drop((silent, stalled));
}

#[test]
fn a_line_without_an_end_costs_no_memory() {
    let engine = Target::start();
    let id = engine.run(&sh(WRITTEN));
    assert_eq!(engine.wait(&id), 0);
    let (_, mut log) = engine.open("GET", &format!("/containers/{id}/logs?stdout=1"), &[], b"");
    while log.read_chunk().expect("the log").is_some() {}
}
