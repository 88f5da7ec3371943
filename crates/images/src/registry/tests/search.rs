//! Searches against an index.

use model::ErrorKind;
use serde_json::json;

use super::server::{Reply, Server};
use super::*;

fn index() -> Server {
    Server::start(|seen| match (seen.path.as_str(), seen.query.get("q").map(|terms| terms[0].as_str())) {
        ("/v1/search", Some("foo" | "joe/foo")) => Reply::json(&json!({"num_results": 2, "results": [
            {"name": "joe/foo", "star_count": 3, "is_trusted": true, "is_official": false, "description": "x"},
            {"name": "foo", "star_count": 10, "is_automated": false, "is_official": true, "description": ""},
        ]})),
        ("/v1/search", Some("none")) => Reply::json(&json!({"results": []})),
        ("/v1/search", Some("bad")) => Reply::new(200).body("none of it"),
        ("/v1/search", _) => Reply::new(503),
        _ => Reply::new(404),
    })
}

fn search(term: &str, credentials: Option<&Credentials>) -> Result<Vec<SearchResult>, RegistryError> {
    client().search(&SearchRequest { term, limit: None, credentials }, &Cancellation::new())
}

#[test]
fn results_come_in_the_indexs_order() {
    let index = index();
    let results = search(&format!("{}/foo", index.host), Some(&joe("secret", ""))).unwrap();
    assert_eq!(results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(), ["joe/foo", "foo"]);
    assert_eq!(results.iter().map(|result| result.stars).collect::<Vec<_>>(), [3, 10]);
    assert!(results[0].is_automated && results[1].is_official);
    let seen = index.seen();
    assert_eq!(seen.last().unwrap().header("authorization"), Some("Basic am9lOnNlY3JldA=="));
    assert_eq!(search(&format!("{}/none", index.host), None).unwrap(), []);
}

#[test]
fn the_hubs_index_is_asked_without_a_host() {
    let index = index();
    let hub_index = url::Url::parse(&index.url("/")).unwrap();
    let client = Client::new(RegistrySettings { hub_index, ..quick() });
    for (term, query) in [("foo", "foo"), ("docker.io/library/foo", "foo"), ("joe/foo", "joe/foo")] {
        let request = SearchRequest { term, limit: Some(1), credentials: None };
        assert_eq!(client.search(&request, &Cancellation::new()).unwrap().len(), 1, "{term}");
        assert_eq!(index.seen().last().unwrap().query["n"], ["1"]);
        assert_eq!(index.seen().last().unwrap().query["q"], [query]);
    }
}

#[test]
fn an_index_that_fails_is_an_error() {
    let index = index();
    for (term, text) in [("boom", "Unexpected status code 503"), ("bad", "malformed")] {
        let error = search(&format!("{}/{term}", index.host), None).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    let error = search("127.0.0.1:1/foo", None).unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn malformed_terms_have_the_known_texts() {
    let component = "repository name component must match \"[a-z0-9]+(?:[._-][a-z0-9]+)*\"";
    for (term, text) in [
        ("", "repository name must have at least one component"),
        ("127.0.0.1:8000/", "repository name must have at least one component"),
        ("Bad!", component),
        ("127.0.0.1:8000/FOO", component),
        ("http://127.0.0.1:8000/foo", "Invalid repository name (ex: \"registry.domain.tld/myrepos\")"),
    ] {
        assert_eq!(search(term, None).unwrap_err().to_string(), text, "{term}");
    }
}
