//! Credentials proved to registries, token services and old indexes.

use model::ErrorKind;
use serde_json::json;

use super::real::{Protection, Registry};
use super::server::{Reply, Server};
use super::*;

fn check(credentials: &Credentials) -> Result<String, RegistryError> {
    client()
        .check_credentials(credentials, IdentityToken::Unwanted, &Cancellation::new())
        .map(|logged_in| logged_in.status)
}

#[test]
fn a_registry_with_passwords_tells_right_from_wrong() {
    let registry = Registry::start(Protection::Password);
    for address in [&registry.host, &format!("http://{}", registry.host), &format!("{}/v2/", registry.host)] {
        assert_eq!(check(&joe("secret", address)).unwrap(), "Login Succeeded", "{address}");
    }
    let error = check(&joe("nope", &registry.host)).unwrap_err();
    let url = format!("http://{}/v2/", registry.host);
    assert_eq!(
        error.to_string(),
        format!(
            "no successful auth challenge for {url} - errors: [basic auth attempt to {url} realm \
             \"basic-realm\" failed with status: 401 Unauthorized]"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let nobody = Credentials { server_address: registry.host.clone(), ..Credentials::default() };
    assert!(check(&nobody).is_err());
    let elsewhere = check(&joe("secret", &format!("{}/foo", registry.host))).unwrap_err();
    assert!(elsewhere.to_string().starts_with("Unexpected status code [404]"), "{elsewhere}");
}

#[test]
fn a_registry_without_passwords_proves_nothing() {
    let registry = Registry::start(Protection::Open);
    let error = check(&joe("secret", &registry.host)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no successful auth challenge for http://{}/v2/ - errors: []", registry.host)
    );
}

#[test]
fn a_token_service_decides() {
    let service = Server::start(|seen| {
        if seen.header("authorization") == Some("Basic am9lOnNlY3JldA==") {
            Reply::json(&json!({"token": "good", "expires_in": 300}))
        } else {
            Reply::new(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect password"}]}"#)
        }
    });
    let challenge = format!("Bearer realm=\"{}\",service=\"reg\"", service.url("/token"));
    let registry = Server::start(move |seen| {
        if seen.header("authorization") == Some("Bearer good") {
            Reply::new(200)
        } else {
            Reply::new(401).with("WWW-Authenticate", &challenge)
        }
    });
    assert_eq!(check(&joe("secret", &registry.host)).unwrap(), "Login Succeeded");
    assert_eq!(service.seen()[0].query["service"], ["reg"]);
    assert_eq!(service.seen()[0].query["account"], ["joe"]);
    let error = check(&joe("nope", &registry.host)).unwrap_err().to_string();
    assert!(error.contains("incorrect password"), "{error}");
}

#[test]
fn the_hub_is_known_by_its_index_address() {
    let registry = Server::start(|seen| match seen.header("authorization") {
        Some("Basic am9lOnNlY3JldA==") => Reply::new(200),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"hub\""),
    });
    let hub_registry = url::Url::parse(&registry.url("/")).unwrap();
    let client = Client::new(RegistrySettings { hub_registry, ..quick() });
    for address in ["https://index.docker.io/v1/", "", "docker.io"] {
        let outcome = client
            .check_credentials(&joe("secret", address), IdentityToken::Unwanted, &Cancellation::new())
            .map(|logged_in| logged_in.status);
        assert_eq!(outcome.unwrap(), "Login Succeeded", "{address:?}");
    }
}

fn old_index() -> Server {
    Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/v1/_ping") => Reply::json(&json!({"standalone": false})),
        ("POST", "/v1/users/") => {
            let account: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            if account["username"] == "joe" {
                Reply::new(400).body("\"Username or email already exists\"")
            } else {
                Reply::new(201).body("\"User Created\"")
            }
        }
        ("GET", "/v1/users/") => match seen.header("authorization") {
            Some("Basic am9lOnNlY3JldA==") => Reply::new(200).body("OK"),
            _ => Reply::new(401),
        },
        _ => Reply::new(404).body("404 page not found\n"),
    })
}

#[test]
fn an_old_index_knows_its_users() {
    let index = old_index();
    for address in [index.host.clone(), format!("{}/v1/", index.host), index.url("/v1/")] {
        assert_eq!(check(&joe("secret", &address)).unwrap(), "Login Succeeded", "{address}");
    }
    let error = check(&joe("no", &format!("{}/v1/", index.host))).unwrap_err();
    assert_eq!(error.to_string(), "Wrong login/password, please try again");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let new = Credentials { username: "new".into(), ..joe("secret", &index.host) };
    assert!(check(&new).unwrap().starts_with("Account created."));
}

#[test]
fn what_is_not_there_is_an_error() {
    let error = check(&joe("secret", "127.0.0.1:1")).unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    for bad in ["::bad", "http://", "ftp://x", "a b"] {
        let error = check(&joe("secret", bad)).unwrap_err();
        assert!(error.to_string().contains("invalid registry address"), "{bad}: {error}");
    }
}
