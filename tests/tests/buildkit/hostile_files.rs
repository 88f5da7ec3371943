//! Peers that break the rules of file transfers, uploads and secrets: each gets a clear error, and the engine serves on.

use berth_tests::{Engine, Options, SmallDisk, rootfs};
use buildkit_messages::file_sync::{Packet, PacketKind, Stat};
use bytes::Bytes;

use crate::client::{Order, Outcome, run, still_serves};
use crate::offers::{DIRECTORY, End, Offer, OfferedBlob, Offers, SYMLINK, Script};

const DOCKERFILE: &str = "FROM busybox\nCOPY . /x\n";
/// What the daemon and all that it runs may use of the memory.
const LIMIT: u64 = 640 << 20;

fn stat(path: &[u8], mode: u32, size: i64) -> Stat {
    Stat { path: path.to_vec(), mode, size, ..Stat::default() }
}

fn file(path: &str, size: i64) -> Stat {
    stat(path.as_bytes(), 0o644, size)
}

fn entry(stat: Option<Stat>) -> Packet {
    Packet { kind: PacketKind::Stat.into(), stat, ..Packet::default() }
}

fn data(id: u32, data: &'static [u8]) -> Packet {
    Packet { kind: PacketKind::Data.into(), id, data: Bytes::from_static(data), stat: None }
}

fn of_kind(kind: i32) -> Packet {
    Packet { kind, ..Packet::default() }
}

fn build(engine: &Engine, context: Offer) -> Outcome {
    run(Order::of(Offers::with(DOCKERFILE, context), "x").run(engine.socket()))
}

fn play(engine: &Engine, packets: Vec<Packet>, end: End) -> Outcome {
    build(engine, Offer { script: Some(Script { packets, end }), ..Offer::default() })
}

#[test]
fn paths_that_no_file_system_has_are_refused() {
    let engine = Engine::start();
    let long = "a".repeat(5_000);
    for (path, text) in [
        (&b"a\0b"[..], "no path within a directory"),
        (long.as_bytes(), "no path within a directory"),
        (b"a//b", "no path within a directory"),
        (b"./a", "no path within a directory"),
        (b"a/.", "no path within a directory"),
        (b"a/", "no path within a directory"),
        ("b".repeat(256).as_bytes(), "File name too long"),
    ] {
        let mut offer = Offer::default();
        offer.add(stat(path, 0o644, 1), b"x");
        let built = build(&engine, offer);
        let (code, message) = built.failure();
        assert!(message.contains(text) && message.len() < 10_000, "{code} {message}");
    }
    let device = |major, minor| Stat {
        device_major: major,
        device_minor: minor,
        ..stat(b"device", (1 << 26) | 0o644, 0)
    };
    for (major, minor) in [(-1, 0), (0, -1), (1 << 40, 0)] {
        let built = build(&engine, Offer { stats: vec![device(major, minor)], ..Offer::default() });
        assert!(built.failure().1.contains("no kind of file"), "{}", built.failure().1);
    }
    run(still_serves(&engine.socket()));
    engine.forget_builds();
}

#[test]
fn names_are_bytes_and_links_stay_inside() {
    let engine = Engine::start();
    let mut offer = Offer::default();
    offer.add(stat(b"b\xff", 0o644, 3), b"any");
    offer.add(stat(b"d", DIRECTORY | 0o755, 0), b"");
    let link = |path: &[u8], target: &[u8]| Stat { link: target.to_vec(), ..stat(path, SYMLINK | 0o777, 0) };
    offer.add(link(b"l", b"/etc"), b"");
    offer.add(link(b"m", b"../../../etc/passwd"), b"");
    let built = build(&engine, offer.clone());
    assert!(built.result.is_ok(), "{:?}", built.result);
    let shown = engine.output_of("x", "sh -c 'cat /x/b*; readlink /x/l; readlink /x/m'");
    assert_eq!(shown, "any/etc\n../../../etc/passwd\n");
    for source in ["l/passwd", "m", "l"] {
        let dockerfile = format!("FROM scratch\nCOPY {source} /stolen\n");
        let order = Order::of(Offers::with(&dockerfile, offer.clone()), "y");
        let built = run(order.run(engine.socket()));
        assert!(built.result.is_err(), "{source} leads to a file of the host");
    }
    engine.forget_builds();
}

#[test]
fn packets_that_answer_nothing_are_refused() {
    let engine = Engine::start();
    let listed = |packets: &[Packet]| {
        let listing = [entry(Some(file("a", 3))), entry(None)];
        [&listing[..], packets].concat()
    };
    for (packets, end, text) in [
        (vec![], End::Closes, "stopped sending"),
        (vec![entry(Some(file("a", 3)))], End::Closes, "stopped sending"),
        (listed(&[]), End::Closes, "stopped sending"),
        (listed(&[data(0, b"on")]), End::Closes, "stopped sending"),
        (listed(&[data(7, b"one")]), End::Closes, "data that nothing asked for"),
        (vec![data(0, b"one")], End::Closes, "data that nothing asked for"),
        (listed(&[data(0, b"one"), data(0, b"")]), End::Closes, ""),
        (listed(&[data(0, b"one"), data(0, b""), data(0, b"one")]), End::Closes, ""),
        (listed(&[data(0, b"more than three")]), End::Closes, "announced 3 bytes"),
        (listed(&[data(0, b"x")]), End::Repeats, "announced 3 bytes"),
        (listed(&[data(0, b"")]), End::Closes, "announced 3 bytes"),
        (listed(&[entry(Some(file("b", 0)))]), End::Closes, "an entry after the last one"),
        (listed(&[of_kind(PacketKind::Request.into())]), End::Closes, "a request that nothing asked for"),
        (listed(&[of_kind(PacketKind::Finish.into())]), End::Closes, "stopped sending"),
        (listed(&[of_kind(77)]), End::Closes, "a packet of an unknown kind"),
        (
            listed(&[Packet { data: Bytes::from_static(b"my disk"), ..of_kind(PacketKind::Error.into()) }]),
            End::Closes,
            "the client cannot send its files: my disk",
        ),
    ] {
        let shown = format!("{packets:?}");
        let built = play(&engine, packets, end);
        if text.is_empty() {
            // All of the file has come: what follows does not matter.
            continue;
        }
        assert!(built.failure().1.contains(text), "{shown}: {}", built.failure().1);
    }
    run(still_serves(&engine.socket()));
    engine.forget_builds();
}

#[test]
fn streams_without_end_take_neither_memory_nor_the_disk() {
    let mut engine = Engine::start_with(Options { memory: Some(LIMIT), ..Options::default() });
    engine.stop_daemon();
    let root = engine.data_root();
    let disk = SmallDisk::mount(&engine.directory().join("disk.img"), 256, &root);
    engine.start_daemon();
    engine.import("busybox", rootfs::busybox());
    static PIECE: [u8; 256 << 10] = [7; 256 << 10];
    let huge = vec![entry(Some(file("a", i64::MAX))), entry(None), data(0, &PIECE)];
    let built = play(&engine, huge, End::Repeats);
    assert!(built.failure().1.contains("cannot keep the client's files"), "{}", built.failure().1);
    let small = disk.used().0;
    assert!(disk.free() > 0 && small < 128 << 20, "{small} bytes are left");
    let archive = OfferedBlob { pieces: vec![Bytes::from_static(&PIECE)], end: End::Repeats };
    let offers = Offers { archive: Some(archive), ..Offers::of("", &[]) };
    let order = Order::of(offers, "x").option("context", "http://buildkit-session/abc");
    assert!(run(order.run(engine.socket())).result.is_err(), "no archive at all");
    let zeros = OfferedBlob { pieces: vec![Bytes::from_static(&[0; 256 << 10])], end: End::Repeats };
    let offers = Offers { archive: Some(zeros), ..Offers::of("", &[]) };
    let order = Order::of(offers, "x").option("context", "http://buildkit-session/abc");
    assert!(run(order.run(engine.socket())).result.is_err(), "an archive that only ends");
    run(still_serves(&engine.socket()));
    let _ = engine.delete("/images/busybox").expect(200);
    engine.stop_daemon();
    drop(disk);
    engine.start_daemon();
}

#[test]
fn secrets_have_a_limit() {
    let engine = Engine::start();
    let limit = 500 << 10;
    let build = |size: usize| {
        let dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s\n";
        let mut offers = Offers::of(dockerfile, &[]);
        offers.secrets.insert("s".to_owned(), vec![7; size]);
        run(Order::of(offers, "x").option("no-cache", "").run(engine.socket()))
    };
    let built = build(limit);
    assert_eq!(built.output(), format!("{limit}\n"), "{:?}", built.result);
    for size in [limit + 1, 17 << 20] {
        let built = build(size);
        let (code, message) = built.failure();
        assert!(*code == 2 && message.contains("longer than"), "{code} {message}");
    }
    run(still_serves(&engine.socket()));
    engine.forget_builds();
}
