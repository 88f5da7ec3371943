//! Single requests: tokens, redirects, retries, certificates, proxies, cancellation.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::json;
use ureq::http::{Method, StatusCode};

use super::super::api_root;
use super::super::proof::Scope;
use super::super::session::Session;
use super::super::transport::Transport;
use super::super::transport::{Answer, Request};
use super::real::{Protection, Registry, Scratch};
use super::server::{Reply, Server};
use super::*;

fn get(
    transport: &Transport,
    host: &str,
    credentials: Option<&Credentials>,
    rest: &str,
) -> Result<Answer, RegistryError> {
    let api_root = api_root::registry(transport, Some(host))?.connect(transport)?;
    let session = Session::new(transport, api_root, "a/b", credentials);
    session.call(&Scope::pull("a/b"), &|| Request::new(Method::GET, session.url(rest)))
}

#[test]
fn one_token_serves_until_it_is_refused() {
    let service = Server::start(|seen| {
        assert_eq!(seen.query["scope"], ["repository:a/b:pull"]);
        Reply::json(&json!({"access_token": "t1"}))
    });
    let challenge = format!("Bearer realm=\"{}\",service=\"s\"", service.url("/token"));
    let registry = Server::start(move |seen| match seen.header("authorization") {
        Some("Bearer t1") => Reply::new(200).body("content"),
        _ => Reply::new(401).with("WWW-Authenticate", &challenge),
    });
    let transport = transport(quick());
    let api_root = api_root::registry(&transport, Some(&registry.host)).unwrap().connect(&transport).unwrap();
    let session = Session::new(&transport, api_root, "a/b", None);
    for _ in 0..3 {
        let answer =
            session.call(&Scope::pull("a/b"), &|| Request::new(Method::GET, session.url("x"))).unwrap();
        assert_eq!(answer.read_up_to(99).unwrap(), b"content");
    }
    assert_eq!(service.seen().len(), 1, "a token is fetched once");
}

#[test]
fn a_refresh_token_is_posted() {
    let service = Server::start(|seen| {
        let form = String::from_utf8(seen.body.clone()).unwrap();
        assert_eq!(seen.method, "POST");
        assert!(form.contains("grant_type=refresh_token&refresh_token=r%2F1"), "{form}");
        Reply::json(&json!({"access_token": "t", "expires_in": 900}))
    });
    let challenge = format!("Bearer realm=\"{}\"", service.url("/token"));
    let registry = Server::start(move |seen| match seen.header("authorization") {
        Some("Bearer t") => Reply::new(200),
        _ => Reply::new(401).with("WWW-Authenticate", &challenge),
    });
    let credentials = Credentials { identity_token: "r/1".into(), ..Credentials::default() };
    let answer = get(&transport(quick()), &registry.host, Some(&credentials), "x").unwrap();
    assert_eq!(answer.status, StatusCode::OK);
}

#[test]
fn credentials_stay_with_their_registry() {
    let storage = Server::start(|_| Reply::new(200).body("blob"));
    let target = storage.url("/blob?signature=s");
    let registry = Server::start(move |seen| match (seen.header("authorization"), seen.path.as_str()) {
        (None, _) => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"r\""),
        (_, "/v2/a/b/x") => Reply::new(307).with("Location", &target),
        _ => Reply::new(200),
    });
    let answer = get(&transport(quick()), &registry.host, Some(&joe("secret", "")), "x").unwrap();
    assert_eq!(answer.read_up_to(99).unwrap(), b"blob");
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
    assert!(registry.seen().iter().any(|seen| seen.header("authorization").is_some()));
}

#[test]
fn redirects_do_not_go_in_circles() {
    let registry = Server::start(|seen| match seen.path.as_str() {
        "/v2/a/b/circle" => Reply::new(302).with("Location", "circle"),
        "/v2/a/b/file" => Reply::new(302).with("Location", "file:///etc/passwd"),
        _ => Reply::new(200),
    });
    for rest in ["circle", "file"] {
        let error = get(&transport(quick()), &registry.host, None, rest).err().unwrap();
        assert!(
            matches!(&error, RegistryError::Transport(TransportError::Redirect { .. })),
            "{rest}: {error}"
        );
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let count = AtomicUsize::new(0);
    let registry = Server::start(move |seen| match seen.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(429).with("Retry-After", "0"),
            1 => Reply::new(503),
            _ => Reply::new(200),
        },
    });
    assert_eq!(get(&transport(quick()), &registry.host, None, "x").unwrap().status, StatusCode::OK);
    assert_eq!(registry.seen().iter().filter(|seen| seen.path == "/v2/a/b/x").count(), 3);
}

#[test]
fn an_error_that_persists_is_reported() {
    let registry = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(500).body(r#"{"errors":[{"code":"UNKNOWN","message":"disk full"}]}"#),
    });
    let error = get(&transport(quick()), &registry.host, None, "x").err().unwrap();
    assert!(error.to_string().ends_with("unexpected status 500: unknown: disk full"), "{error}");
}

#[test]
fn a_wrong_password_is_reported_as_such() {
    let registry = Registry::start(Protection::Password);
    for (credentials, text) in [(Some(joe("nope", "")), "joe"), (None, "no basic auth credentials")] {
        let error =
            get(&transport(quick()), &registry.host, credentials.as_ref(), "tags/list").err().unwrap();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("unauthorized"), "{error}");
        assert!(!error.to_string().contains("nope"), "{error}");
    }
}

/// Puts the registry's authority, and perhaps the client's certificate, where the settings read them.
fn certificates(registry: &Registry, with_client: bool) -> (Scratch, RegistrySettings) {
    let directory = Scratch::new();
    let place = directory.path().join(&registry.host);
    fs::create_dir(&place).unwrap();
    let copy = |from: &str, to: &str| fs::copy(registry.scratch.path().join(from), place.join(to)).unwrap();
    copy("authority.pem", "ca.crt");
    if with_client {
        copy("client.pem", "client.cert");
        copy("client.key", "client.key");
    }
    let settings = RegistrySettings { certificate_directories: vec![directory.path().to_owned()], ..quick() };
    (directory, settings)
}

#[test]
fn an_authority_of_its_own_vouches_for_a_registry() {
    let registry = Registry::start(Protection::Tls);
    let (_directory, settings) = certificates(&registry, false);
    let answer = get(&transport(settings), &registry.host, None, "tags/list").unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.url.scheme(), "https");
}

#[test]
fn another_authority_does_not() {
    let registry = Registry::start(Protection::Tls);
    let other = Registry::start(Protection::Tls);
    let (directory, settings) = certificates(&other, false);
    let (from, to) = (directory.path().join(&other.host), directory.path().join(&registry.host));
    fs::rename(from, to).unwrap();
    let error = get(&transport(settings), &registry.host, None, "tags/list").err().unwrap();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("--insecure-registry"), "{error}");
    assert!(error.to_string().contains("ca.crt"), "{error}");
}

#[test]
fn an_insecure_registry_may_show_any_certificate() {
    let registry = Registry::start(Protection::Tls);
    let answer = get(&transport(quick()), &registry.host, None, "tags/list").unwrap();
    assert_eq!(answer.url.scheme(), "https");
}

#[test]
fn a_client_certificate_is_shown() {
    let registry = Registry::start(Protection::ClientCertificate);
    let (_directory, settings) = certificates(&registry, true);
    assert!(get(&transport(settings), &registry.host, None, "tags/list").is_ok());
    let (_directory, settings) = certificates(&registry, false);
    assert!(get(&transport(settings), &registry.host, None, "tags/list").is_err());
}

#[test]
fn invalid_certificates_are_reported() {
    let registry = Registry::start(Protection::Tls);
    let (directory, settings) = certificates(&registry, true);
    let place = directory.path().join(&registry.host);
    fs::copy(registry.scratch.path().join("server.key"), place.join("client.key")).unwrap();
    let error = get(&transport(settings.clone()), &registry.host, None, "x").err().unwrap();
    assert!(format!("{error:?}").contains("KeyMismatch"), "{error:?}");
    fs::remove_file(place.join("client.key")).unwrap();
    let error = get(&transport(settings.clone()), &registry.host, None, "x").err().unwrap();
    assert!(format!("{error:?}").contains("NoKey"), "{error:?}");
    fs::write(place.join("ca.crt"), "rubbish").unwrap();
    let error = get(&transport(settings), &registry.host, None, "x").err().unwrap();
    assert!(format!("{error:?}").contains("NotPem"), "{error:?}");
}

#[test]
fn a_proxy_is_asked_to_connect() {
    let proxy = Server::start(|_| Reply::new(403));
    let proxies =
        ProxySettings { http: Some(proxy.url("")), https: Some(proxy.url("")), ..ProxySettings::default() };
    let settings = RegistrySettings { proxies: Some(proxies), ..quick() };
    let error = get(&transport(settings), "registry.invalid", None, "x").err().unwrap();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert_eq!(proxy.seen()[0].method, "CONNECT");
}

#[test]
fn a_cancelled_request_ends_at_once() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply { stall: true, ..Reply::new(200).with("Content-Length", "100") },
    });
    let cancellation = Cancellation::new();
    let transport = Transport::new(Arc::new(quick()), &cancellation);
    let host = server.host.clone();
    let begin = Instant::now();
    let reader = thread::spawn(move || {
        get(&transport, &host, None, "x").map(|answer| answer.read_up_to(100).map_err(|_| ()))
    });
    while !server.seen().iter().any(|seen| seen.path.ends_with("/x")) {
        thread::yield_now();
    }
    cancellation.cancel();
    assert!(!matches!(reader.join().unwrap(), Ok(Ok(_))));
    assert!(begin.elapsed() < Duration::from_secs(30), "the silence was waited out");
}

#[test]
fn a_server_that_is_not_a_registry_is_reported() {
    let server = Server::start(|_| Reply::new(404));
    let error = get(&transport(quick()), &server.host, None, "x").err().unwrap();
    assert!(error.to_string().contains("is no registry: status 404"), "{error}");
}
