//! Registries: `/auth`, and images that come from there.

use berth_tests::Engine;
use berth_tests::golden::{Request, answer};
use berth_tests::registry::{Protection, Registry};
use serde_json::json;

use crate::{check, check_all};

#[test]
fn answers_about_a_registry_are_those_that_are_kept() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    for (name, password) in [("login", "secret"), ("login-refused", "wrong")] {
        let body = json!({ "username": "joe", "password": password, "serveraddress": "127.0.0.1:5000" });
        check(name, |version| answer(&engine, version, &Request::json("/auth", &body)));
    }
    check_all(
        &engine,
        &[
            ("pull-refused", "POST", "/images/create?fromImage=127.0.0.1:5000/a&tag=latest"),
            ("pull-bad-name", "POST", "/images/create?fromImage=UPPER"),
        ],
    );
}
