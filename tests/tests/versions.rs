//! A daemon that is configured to serve versions newer than its default.

use berth_tests::{Answer, Engine, Options};
use serde_json::json;

fn content_type(answer: &Answer) -> &str {
    answer.head.header("content-type").unwrap_or_default()
}

#[test]
fn a_path_without_a_version_means_the_newest() {
    let engine = Engine::start();
    for version in ["", "1.55", "1.20"] {
        let answer = engine.at(version).get("/version").expect(200);
        assert_eq!(answer.json()["ApiVersion"], "1.55", "{version}");
        assert_eq!(answer.head.header("api-version"), Some("1.55"), "{version}");
    }
    for version in ["1.56", "9999.9", "1.99999999999999999999"] {
        let too_new = engine.at(version).get("/info").expect(400);
        let words = format!("client version {version} is too new. Maximum supported API version is 1.55");
        assert_eq!(too_new.json(), json!({ "message": words }));
    }
}

#[test]
fn errors_are_text_and_since_1_24_an_object() {
    let engine = Engine::start();
    for version in ["", "1.24", "1.55"] {
        let missing = engine.at(version).get("/containers/nosuch/json").expect(404);
        assert_eq!(
            (missing.json(), content_type(&missing)),
            (json!({"message": "No such container: nosuch"}), "application/json")
        );
        let unknown = engine.at(version).get("/nosuch").expect(404);
        assert_eq!(unknown.json(), json!({"message": "page not found"}), "{version}");
    }
    for version in ["1.12", "1.20", "1.23"] {
        let missing = engine.at(version).get("/containers/nosuch/json").expect(404);
        assert_eq!(
            (missing.text().as_str(), content_type(&missing)),
            ("no such id: nosuch\n", "text/plain; charset=utf-8")
        );
        assert_eq!(engine.at(version).get("/nosuch").expect(404).text(), "404 page not found\n", "{version}");
    }
}

#[test]
fn the_newest_version_is_one_that_is_known() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    for wrong in ["1.19", "1.56", "x"] {
        let refusal = engine.refuses_to_start(&["--api-max", wrong]);
        assert!(
            refusal.contains(&format!("\"{wrong}\" is not a version of the API from 1.20 to 1.55")),
            "{refusal}"
        );
    }
}

#[test]
fn what_is_missing_has_one_text_since_1_24() {
    let engine = Engine::start();
    let missing =
        |version: &str, method: &str, path: &str| engine.at(version).call(method, path, &[], b"").expect(404);
    for (method, path, old, new) in [
        ("GET", "/containers/nosuch/json", "no such id: nosuch", "No such container: nosuch"),
        ("POST", "/containers/nosuch/start", "no such id: nosuch", "No such container: nosuch"),
        ("GET", "/images/nosuch/json", "No such image: nosuch", "No such image: nosuch"),
        (
            "GET",
            "/images/nosuch/history",
            "could not find image: no such id: nosuch",
            "No such image: nosuch",
        ),
        ("GET", "/images/nosuch/get", "could not find image: no such id: nosuch", "No such image: nosuch"),
    ] {
        assert_eq!(missing("1.20", method, path).text(), format!("{old}\n"), "{method} {path}");
        assert_eq!(missing("1.24", method, path).json(), json!({ "message": new }), "{method} {path}");
    }
}
