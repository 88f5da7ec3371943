//! A daemon that is asked to serve versions newer than its default.

use berth_tests::{Answer, Client, Engine, Options};
use serde_json::json;

fn newest() -> Engine {
    let arguments = vec!["--api-max".to_owned(), "1.55".to_owned()];
    Engine::start_with(Options { arguments, ..Options::default() })
}

fn at(engine: &Engine, prefix: &str) -> Client {
    Client { address: engine.address.clone(), prefix: prefix.to_owned() }
}

fn content_type(answer: &Answer) -> &str {
    answer.head.header("content-type").unwrap_or_default()
}

#[test]
fn a_path_without_a_version_means_the_newest() {
    let engine = newest();
    for prefix in ["", "/v1.55", "/v1.20"] {
        let answer = at(&engine, prefix).get("/version").expect(200);
        assert_eq!(answer.json()["ApiVersion"], "1.55", "{prefix}");
        assert_eq!(answer.head.header("api-version"), Some("1.55"), "{prefix}");
    }
    let too_new = at(&engine, "/v1.56").get("/info").expect(400);
    assert_eq!(
        too_new.json(),
        json!({"message": "client version 1.56 is too new. Maximum supported API version is 1.55"})
    );
}

#[test]
fn errors_are_text_and_since_1_24_an_object() {
    let engine = newest();
    for prefix in ["", "/v1.24", "/v1.55"] {
        let missing = at(&engine, prefix).get("/containers/nosuch/json").expect(404);
        assert_eq!(
            (missing.json(), content_type(&missing)),
            (json!({"message": "no such id: nosuch"}), "application/json")
        );
        let unknown = at(&engine, prefix).get("/nosuch").expect(404);
        assert_eq!(unknown.json(), json!({"message": "page not found"}), "{prefix}");
    }
    for prefix in ["/v1.12", "/v1.20", "/v1.23"] {
        let missing = at(&engine, prefix).get("/containers/nosuch/json").expect(404);
        assert_eq!(
            (missing.text().as_str(), content_type(&missing)),
            ("no such id: nosuch\n", "text/plain; charset=utf-8")
        );
        assert_eq!(at(&engine, prefix).get("/nosuch").expect(404).text(), "404 page not found\n", "{prefix}");
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
