//! Registries: push, pull, `/distribution`, `/auth`.

use berth_tests::Engine;
use berth_tests::golden::{Request, answer};
use berth_tests::registry::{Protection, Registry};
use serde_json::{Value, json};

use crate::{check, check_all, check_posts};

const IMAGE: &str = "127.0.0.1:5000/a/b";

/// A stream without its messages of progress, which depend on the time that it takes.
fn without_progress(mut seen: Value) -> Value {
    if let Some(messages) = seen["body"].as_array_mut() {
        messages.retain(|message| {
            message["progressDetail"].as_object().is_none_or(|detail| !detail.contains_key("current"))
        });
    }
    seen
}

#[test]
fn answers_about_what_a_registry_has() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = engine.post(&format!("/images/busybox/tag?repo={IMAGE}&tag=latest")).expect(201);
    let ask = |version: &str, method: &str, path: &str| {
        without_progress(answer(&engine, version, &Request::new(method, path)))
    };
    let _ = ask("1.55", "POST", &format!("/images/{IMAGE}/push?tag=latest"));
    check("push", |version| ask(version, "POST", &format!("/images/{IMAGE}/push?tag=latest")));
    check("push-unknown-tag", |version| ask(version, "POST", &format!("/images/{IMAGE}/push?tag=nosuch")));
    check("pull-known", |version| {
        ask(version, "POST", &format!("/images/create?fromImage={IMAGE}&tag=latest"))
    });
    check("pull-unknown", |version| {
        ask(version, "POST", &format!("/images/create?fromImage={IMAGE}&tag=nosuch"))
    });
    check_all(
        &engine,
        &[
            ("distribution", "GET", &format!("/distribution/{IMAGE}/json")),
            ("distribution-unknown", "GET", &format!("/distribution/{IMAGE}:nosuch/json")),
            ("image-list-pushed", "GET", "/images/json?digests=1"),
            ("image-inspect-pushed", "GET", &format!("/images/{IMAGE}/json")),
        ],
    );
    let _ = engine.delete(&format!("/images/{IMAGE}")).expect(200);
    let _ = engine.delete("/images/busybox").expect(200);
    check("pull", |version| {
        let seen = ask(version, "POST", &format!("/images/create?fromImage={IMAGE}&tag=latest"));
        let _ = engine.delete(&format!("/images/{IMAGE}")).expect(200);
        seen
    });
    let _ = ask("1.55", "POST", &format!("/images/create?fromImage={IMAGE}&tag=latest"));
    check_all(
        &engine,
        &[
            ("image-list-pulled", "GET", "/images/json?manifests=1"),
            ("image-inspect-pulled", "GET", &format!("/images/{IMAGE}/json?manifests=1")),
        ],
    );
    let _ = engine.delete(&format!("/images/{IMAGE}")).expect(200);
}

#[test]
fn answers_to_logins() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    let login = |password: &str| json!({ "username": "joe", "password": password, "serveraddress": "127.0.0.1:5000" });
    check_posts(&engine, &[("login", "/auth", login("secret")), ("login-refused", "/auth", login("wrong"))]);
    check_all(
        &engine,
        &[
            ("distribution-refused", "GET", &format!("/distribution/{IMAGE}/json")),
            ("pull-refused", "POST", &format!("/images/create?fromImage={IMAGE}&tag=latest")),
        ],
    );
}
