//! Peers that send what no honest client does: clear errors, nothing outside the context, bounded memory.

use berth_tests::Engine;
use buildkit_messages::control::{InfoRequest, InfoResponse, SolveRequest, SolveResponse};
use buildkit_messages::file_sync::Stat;
use buildkit_messages::operations::Operation;
use bytes::Bytes;
use http::HeaderMap;

use crate::client::{Control, Order, run, still_serves};
use crate::graphs::graph;
use crate::offers::{DIRECTORY, Offer, Offers, SYMLINK};

const DOCKERFILE: &str = "FROM busybox\nCOPY . /x\n";

fn file(path: &str, size: i64) -> Stat {
    Stat { path: path.into(), mode: 0o644, size, ..Stat::default() }
}

#[test]
fn entries_that_no_walk_gives_are_refused() {
    let engine = Engine::start();
    let link = |path: &str, target: &str| Stat { link: target.into(), ..file(path, 0) };
    for (stats, text) in [
        (vec![file("../outside", 0)], "no path within a directory"),
        (vec![file("/absolute", 0)], "no path within a directory"),
        (vec![file("a/../../b", 0)], "no path within a directory"),
        (vec![file("", 0)], "no path within a directory"),
        (vec![file("b", 0), file("a", 0)], "out of order"),
        (vec![file("a", 0), file("a", 0)], "out of order"),
        (vec![file("a", 0), file("a/b", 0)], "what it is in is no directory"),
        (
            vec![Stat { mode: SYMLINK | 0o777, ..link("a", "/etc") }, file("a/passwd", 0)],
            "what it is in is no directory",
        ),
        (vec![link("a", "../../etc/passwd")], "no file before it"),
        (vec![Stat { mode: DIRECTORY | 0o755, ..file("d", 0) }, link("e", "d")], "no file before it"),
        (vec![file("a", -1)], "announced -1 bytes"),
        (vec![Stat { mode: (1 << 31) | (1 << 27), ..file("a", 0) }], "no kind of file"),
    ] {
        let offer = Offer { stats, ..Offer::default() };
        let built = run(Order::of(Offers::with(DOCKERFILE, offer), "x").run(engine.socket()));
        assert!(built.failure().1.contains(text), "{text}: {}", built.failure().1);
    }
    run(still_serves(&engine.socket()));
    engine.forget_builds();
}

#[test]
fn sizes_that_lie_are_refused() {
    let engine = Engine::start();
    for (announced, sent) in [(3, 4), (3, 2), (100_000, 200_000), (200_000, 100_000)] {
        let mut offer = Offer::default();
        offer.add(file("a", announced), &vec![1; sent]);
        let built = run(Order::of(Offers::with(DOCKERFILE, offer), "x").run(engine.socket()));
        let text = format!("announced {announced} bytes of \"a\"");
        assert!(built.failure().1.contains(&text), "{}", built.failure().1);
    }
    engine.forget_builds();
}

#[test]
fn a_directory_without_end_is_cut_off() {
    let engine = Engine::start();
    let before = engine.peak_memory();
    let offer = Offer { endless: true, ..Offer::default() };
    let built = run(Order::of(Offers::with(DOCKERFILE, offer), "x").run(engine.socket()));
    assert!(built.failure().1.contains("more than"), "{}", built.failure().1);
    let grown = engine.peak_memory() - before;
    assert!(grown < 1 << 30, "{grown} bytes were held");
    run(still_serves(&engine.socket()));
}

#[test]
fn malformed_messages_are_refused() {
    let engine = Engine::start();
    run(async {
        let socket = engine.socket();
        let solve = "/moby.buildkit.v1.Control/Solve";
        let framed = |bytes: &[u8], length: u32| {
            let head = [&[0][..], &length.to_be_bytes()].concat();
            Bytes::from([&head[..], bytes].concat())
        };
        for (what, body, code) in [
            ("no message", Bytes::new(), 3),
            ("half a head", Bytes::from_static(&[0, 0]), 3),
            ("half a message", framed(&[1, 2], 10), 3),
            ("no protobuf", framed(&[0xff; 12], 12), 3),
            ("a field that is too long", framed(&[0x0a, 0xff, 0xff, 0xff, 0x0f], 5), 3),
            ("compressed", Bytes::from_static(&[1, 0, 0, 0, 0]), 12),
            ("four gigabytes", framed(&[], u32::MAX), 8),
        ] {
            let control = Control::open(&socket).await;
            let refusal = control.raw::<SolveResponse>(solve, HeaderMap::new(), body).await.expect_err(what);
            assert_eq!(refusal.0, code, "{what}: {}", refusal.1);
        }
        let control = Control::open(&socket).await;
        let unknown = control.call::<InfoResponse>("/moby.buildkit.v1.Control/NoSuch", &InfoRequest {}).await;
        assert_eq!(unknown.expect_err("no such method").0, 12);
        still_serves(&socket).await;
    });
}

#[test]
fn messages_that_do_not_end_share_a_budget() {
    let engine = Engine::start();
    engine.forget_peak_memory();
    let before = engine.peak_memory();
    run(async {
        let control = Control::open(&engine.socket()).await;
        let solve = "/moby.buildkit.v1.Control/Solve";
        let length: u32 = 16 << 20;
        let mut body = [&[0][..], &length.to_be_bytes()].concat();
        body.resize(4 + length as usize, 0);
        let body = Bytes::from(body);
        let mut begun = Vec::new();
        for _ in 0..16 {
            begun.extend(control.begin(solve, body.clone()).await);
        }
        // A call like any other is served all the while.
        still_serves(&engine.socket()).await;
        drop(begun);
        still_serves(&engine.socket()).await;
    });
    let grown = engine.peak_memory() - before;
    assert!(grown < 150 << 20, "{} MiB were held", grown >> 20);
}

#[test]
fn what_is_not_built_here_is_refused_by_name() {
    let engine = Engine::start();
    let build = Operation { build: Some(Vec::new()), ..Operation::default() };
    let definition = graph(vec![build]);
    run(async {
        let control = Control::open(&engine.socket()).await;
        let reference = || "refused".to_owned();
        for (request, text) in [
            (
                SolveRequest { definition: Some(definition.clone()), ..SolveRequest::default() },
                "the operation build of a build graph",
            ),
            (
                SolveRequest { frontend: "nosuch.v0".to_owned(), ..SolveRequest::default() },
                "frontend \"nosuch.v0\"",
            ),
            (
                SolveRequest {
                    frontend: "gateway.v0".to_owned(),
                    frontend_attributes: [("source".to_owned(), "someone/else:1".to_owned())].into(),
                    ..SolveRequest::default()
                },
                "the frontend image \"someone/else:1\"",
            ),
        ] {
            let request = SolveRequest { reference: reference(), ..request };
            let (code, refusal) = control.solve(&request).await.expect_err(text);
            assert_eq!(code, 2, "{refusal}");
            assert!(refusal.contains(text), "{refusal}");
        }
        let request = SolveRequest { reference: String::new(), ..SolveRequest::default() };
        assert_eq!(control.solve(&request).await.expect_err("no reference").0, 3);
    });
}

#[test]
fn a_request_that_does_not_want_to_become_http_2_is_refused() {
    let engine = Engine::start();
    let client = engine.at("1.55");
    for path in ["/grpc", "/session"] {
        assert!(client.post(path).expect(400).message().contains("h2c"));
        let other = client.call("POST", path, &[("Connection", "Upgrade"), ("Upgrade", "websocket")], b"");
        assert!(other.expect(400).message().contains("websocket"));
    }
    let nameless = client.call("POST", "/session", &[("Connection", "Upgrade"), ("Upgrade", "h2c")], b"");
    assert!(nameless.expect(400).message().contains("X-Docker-Expose-Session-Uuid"));
}
