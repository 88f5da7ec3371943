//! Clients that leave, and registries that stall or break, in the middle of a build: nothing stays, and the next build is
//! right.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use berth_tests::registry::{
    Asked, Content, Ending, Gate, Protection, Registry, Reply, Server, noise, tar_of,
};
use berth_tests::{Engine, wait};
use buildkit_messages::control::{CacheEntry, CacheOptions};

use crate::client::{Order, run, still_serves};
use crate::endings::{begin_order, nothing_is_left};
use crate::offers::Offers;
use crate::session::{EXPORT, Session};

const HELD: &str = "127.0.0.1:5000";

/// An image whose layer is worth waiting for.
fn large() -> (Content, String) {
    let mut content = Content::default();
    let _ = content.image("v1", &[tar_of(&[("noise", &noise(1, 1_000_000))])]);
    let layer = content.large(500_000).pop().expect("a layer");
    (content, layer)
}

/// Begins a build, waits until a server gets a request that it holds back, and lets the client leave.
fn leave(engine: &Engine, order: Order, server: &Server, is_held: impl Fn(&Asked) -> bool) {
    let gone = server.left();
    run(async {
        let is_there = async |_: &Session| server.asked().iter().any(&is_held);
        let begun = begin_order(engine.socket(), order, is_there).await;
        begun.call.abort();
    });
    wait::until("the end of the connection to the registry", || (server.left() > gone).then_some(()));
    nothing_is_left(engine);
    run(still_serves(&engine.socket()));
}

#[test]
fn a_client_that_leaves_while_an_image_is_pulled_ends_the_pull() {
    let engine = Engine::start();
    let (content, layer) = large();
    let gate = Gate::default();
    let (held, holding) = (layer.clone(), Arc::clone(&gate));
    let server = Server::start(&engine, HELD, move |asked| {
        let reply = content.answer(asked);
        if asked.path.ends_with(&held) {
            reply.ending(Ending::HeldAfter(1000, Arc::clone(&holding)))
        } else {
            reply
        }
    });
    let dockerfile = format!("FROM {HELD}/image:v1\nCOPY a /a\n");
    let offers = || Offers::of(&dockerfile, &[("a", b"one")]);
    leave(&engine, Order::of(offers(), "x"), &server, |asked| asked.path.ends_with(&layer));
    gate.store(true, Ordering::SeqCst);
    let built = run(Order::of(offers(), "x").run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    let _ = engine.delete(&format!("/images/{HELD}/image:v1?noprune=1")).expect(200);
    engine.forget_builds();
}

/// A registry that accepts uploads and holds back its responses.
fn holding(engine: &Engine) -> Server {
    let gate = Gate::default();
    Server::start(engine, HELD, move |asked| match asked.method.as_str() {
        "HEAD" => Reply::new(404),
        "GET" => Reply::new(200),
        "POST" => Reply::new(202).with("Location", format!("{}1?x=y", asked.path)),
        _ => Reply::new(201).body("later").ending(Ending::HeldAfter(0, Arc::clone(&gate))),
    })
}

fn is_upload(asked: &Asked) -> bool {
    matches!(asked.method.as_str(), "PUT" | "PATCH")
}

#[test]
fn a_client_that_leaves_while_its_image_is_pushed_ends_the_push() {
    let engine = Engine::start();
    let server = holding(&engine);
    let offers = Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]);
    let name = format!("{HELD}/pushed:1");
    let exporter: (&str, &[(&str, &str)]) = ("image", &[("name", &name), ("push", "true")]);
    leave(&engine, Order::of(offers, "x").exporters(&[exporter]), &server, is_upload);
    let _ = engine.delete(&format!("/images/{name}")).expect(200);
    engine.forget_builds();
}

#[test]
fn a_client_that_leaves_while_its_cache_is_exported_ends_the_export() {
    let engine = Engine::start();
    let server = holding(&engine);
    let offers = Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]);
    let mut order = Order::of(offers, "cached");
    let attributes = [("ref".to_owned(), format!("{HELD}/cache:1"))].into();
    let exports = vec![CacheEntry { kind: "registry".to_owned(), attributes }];
    order.request.cache = Some(CacheOptions { exports, ..CacheOptions::default() });
    leave(&engine, order, &server, is_upload);
    engine.forget_builds();
}

#[test]
fn a_client_that_reads_no_export_and_leaves_is_not_waited_for() {
    for exporter in ["local", "tar", "oci", "docker"] {
        let engine = Engine::start();
        run(async {
            // One large file: a peer that leaves many small messages unread is no client of HTTP/2.
            let content = noise(1, 1_000_000);
            let offers = Offers::of("FROM scratch\nCOPY a /a\n", &[("a", &content)]);
            let offers = Offers { ignores_exports: true, ..offers };
            let order = Order::of(offers, "x").exporters(&[(exporter, &[])]);
            let is_there =
                async |session: &Session| session.received().await.asked.contains(&EXPORT.to_owned());
            let begun = begin_order(engine.socket(), order, is_there).await;
            begun.call.abort();
        });
        nothing_is_left(&engine);
        run(still_serves(&engine.socket()));
        engine.forget_builds();
    }
}

#[test]
fn registries_that_break_fail_the_build_in_words() {
    let engine = Engine::start();
    let name = format!("{HELD}/pushed:1");
    let cache = |place: &str| {
        let attributes = [("ref".to_owned(), place.to_owned())].into();
        let exports = vec![CacheEntry { kind: "registry".to_owned(), attributes }];
        Some(CacheOptions { exports, ..CacheOptions::default() })
    };
    let order = |pushes: bool| {
        let offers = Offers::of("FROM busybox\nCOPY a /a\n", &[("a", b"one")]);
        let exporter: (&str, &[(&str, &str)]) = ("image", &[("name", &name), ("push", "true")]);
        let mut order = Order::of(offers, "kept");
        if pushes {
            order = order.exporters(&[exporter]);
        } else {
            order.request.cache = cache(&format!("{HELD}/cache:1"));
        }
        order
    };
    let server = Server::start(&engine, HELD, |asked| match asked.method.as_str() {
        "HEAD" => Reply::new(404),
        "GET" => Reply::new(200),
        "POST" => Reply::new(202).with("Location", format!("{}1?x=y", asked.path)),
        _ => Reply::new(201).body("never").ending(Ending::CutAfter(1)),
    });
    for pushes in [true, false] {
        let built = run(order(pushes).run(engine.socket()));
        let (_, message) = built.failure();
        assert!(message.contains(HELD), "{message}");
        nothing_is_left(&engine);
    }
    drop(server);
    let _registry = Registry::start(&engine, HELD, &Protection::Open);
    for pushes in [true, false] {
        let built = run(order(pushes).run(engine.socket()));
        assert!(built.result.is_ok(), "{:?}", built.result);
    }
    let _ = engine.delete(&format!("/images/{name}")).expect(200);
    engine.forget_builds();
    // Where its layer was sent goes with it.
    let _ = engine.delete("/images/busybox").expect(200);
}
