//! Authentication at registries: `X-Registry-Auth`, `X-Registry-Config`, `POST /auth`, token services,
//! certificates.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use berth_tests::registry::{
    Certificates, Content, Messages, Protection, Registry, Reply, Server, TokenService, authorization,
    config_header, pull, push, tar_of,
};
use berth_tests::{Answer, Context, Engine, Options, cli, host, query, wait};
use serde_json::{Value, json};

const IMAGE: &str = "127.0.0.1:5000/p";

fn forget(engine: &Engine, images: &[&str]) {
    for image in images {
        let _ = engine.delete(&format!("/images/{image}?force=1")).expect(200);
    }
}

/// Puts busybox into a registry under a name, and forgets both here.
fn publish(engine: &Engine, image: &str, credentials: &str) {
    let pairs = query(&[("repo", image), ("force", "1")]);
    let _ = engine.post(&format!("/images/busybox/tag{pairs}")).expect(201);
    let _ = push(engine, image, "latest", Some(credentials)).succeeded();
    forget(engine, &[image, "busybox"]);
}

fn build(engine: &Engine, dockerfile: &str, headers: &[(&str, &str)]) -> Messages {
    let headers = [&[("Content-Type", "application/x-tar")], headers].concat();
    Messages::of(&engine.call("POST", "/build?t=built", &headers, &Context::of(dockerfile).bytes()))
}

fn log_in(engine: &Engine, user: &str, password: &str, address: &str) -> Answer {
    let body = json!({ "username": user, "password": password, "email": "j@x", "serveraddress": address });
    engine.post_json("/auth", &body)
}

#[test]
fn a_password_opens_a_registry_in_every_form() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    let _ = engine.post(&format!("/images/busybox/tag?repo={IMAGE}")).expect(201);
    for (credentials, text) in [
        ("e30=".to_owned(), "no basic auth credentials"),
        (authorization("joe", "wrong"), "user name \"joe\" or its password is refused"),
        (authorization("nobody", "secret"), "user name \"nobody\" or its password is refused"),
    ] {
        let refused = push(&engine, IMAGE, "latest", Some(&credentials));
        assert!(refused.failure().contains(text), "{refused:?}");
    }
    publish(&engine, IMAGE, &authorization("joe", "secret"));

    let whole =
        r#"{"username":"joe","password":"secret","email":"j@x","serveraddress":"https://other","auth":""}"#;
    let pair = BASE64_STANDARD.encode("joe:secret");
    let combined = format!(r#"{{"auth":"{pair}","identitytoken":null,"registrytoken":"","more":[1]}}"#);
    for header in [
        BASE64_STANDARD.encode(whole),
        BASE64_STANDARD_NO_PAD.encode(whole),
        BASE64_URL_SAFE.encode(whole),
        BASE64_URL_SAFE_NO_PAD.encode(whole),
        BASE64_URL_SAFE.encode(&combined),
    ] {
        let _ = pull(&engine, IMAGE, "latest", &[("X-Registry-Auth", &header)]).succeeded();
        forget(&engine, &[IMAGE]);
    }
    for nothing in ["", "e30=", "e30", "bnVsbA=="] {
        let refused = pull(&engine, IMAGE, "latest", &[("X-Registry-Auth", nothing)]);
        assert_eq!(refused.status, 404, "no read access: {refused:?}");
        assert!(refused.failure().starts_with("pull access denied for 127.0.0.1:5000/p, "), "{refused:?}");
    }
    let wrong = pull(&engine, IMAGE, "latest", &[("X-Registry-Auth", &authorization("joe", "wrong"))]);
    assert!(wrong.failure().contains("the user name \"joe\" or its password is refused"), "{wrong:?}");
    let none = pull(&engine, IMAGE, "latest", &[]);
    assert!(none.failure().contains("no basic auth credentials"), "nothing is remembered: {none:?}");

    let dockerfile = format!("FROM {IMAGE}\nCMD [\"true\"]\n");
    for header in [
        None,
        Some(config_header("127.0.0.1:5000", "joe", "wrong")),
        Some(config_header("other", "joe", "secret")),
    ] {
        let headers: Vec<(&str, &str)> =
            header.iter().map(|header| ("X-Registry-Config", header.as_str())).collect();
        let refused = build(&engine, &dockerfile, &headers);
        assert!(refused.failure().contains("pull access denied"), "{refused:?}");
    }
    let malformed = build(&engine, &dockerfile, &[("X-Registry-Config", "%%%")]);
    assert!(malformed.failure().contains("pull access denied"), "{malformed:?}");
    for address in ["127.0.0.1:5000", "http://127.0.0.1:5000/v2/"] {
        let header = config_header(address, "joe", "secret");
        let _ = build(&engine, &dockerfile, &[("X-Registry-Config", &header)]).succeeded();
        forget(&engine, &["built", IMAGE]);
    }
}

#[test]
fn credentials_are_proved_by_a_login() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Password);
    let _open = Registry::start(&engine, "127.0.0.1:5001", &Protection::Open);
    let index = Server::start(&engine, "127.0.0.1:5002", |asked| {
        let known = asked.header("authorization") == Some("Basic am9lOnNlY3JldA==");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/v1/_ping") => Reply::new(200).body("true"),
            ("POST", "/v1/users/") if String::from_utf8_lossy(&asked.body).contains("\"new\"") => {
                Reply::new(201).body("\"User created\"")
            }
            ("POST", "/v1/users/") => Reply::new(400).body("\"Username or email already exists\""),
            ("GET", "/v1/users/") => Reply::new(if known { 200 } else { 401 }),
            _ => Reply::new(404),
        }
    });
    for address in [
        "127.0.0.1:5000",
        "http://127.0.0.1:5000",
        "https://127.0.0.1:5000/v2/",
        "127.0.0.1:5002",
        "http://127.0.0.1:5002/v1/",
    ] {
        let proved = log_in(&engine, "joe", "secret", address).expect(200);
        assert_eq!(proved.json(), json!({ "Status": "Login Succeeded" }), "{address}");
    }
    let made = log_in(&engine, "new", "x", "127.0.0.1:5002").expect(200).json();
    assert!(made["Status"].as_str().expect("a status").starts_with("Account created"), "{made}");
    for (user, password, address, status, text) in [
        (
            "joe",
            "wrong",
            "127.0.0.1:5000",
            500,
            "no successful auth challenge for http://127.0.0.1:5000/v2/ - errors: [basic auth attempt",
        ),
        ("", "", "127.0.0.1:5000", 500, "no successful auth challenge"),
        (
            "joe",
            "secret",
            "127.0.0.1:5001",
            500,
            "no successful auth challenge for http://127.0.0.1:5001/v2/ - errors: []",
        ),
        ("joe", "wrong", "127.0.0.1:5002", 401, "Wrong login/password, please try again"),
        ("joe", "secret", "127.0.0.1:5000/nowhere", 404, "Unexpected status code [404]"),
        ("joe", "secret", "127.0.0.1:1", 500, "cannot reach the registry 127.0.0.1:1"),
        ("joe", "secret", "https://::bad", 500, "invalid registry address"),
        ("joe", "secret", "", 500, "cannot reach the registry docker.io"),
        ("joe", "secret", "https://index.docker.io/v1/", 500, "cannot reach the registry docker.io"),
    ] {
        let refused = log_in(&engine, user, password, address);
        assert!(refused.text().contains(text), "{user} {address}: {}", refused.text());
        assert_eq!(refused.status(), status, "{user} {address}: {}", refused.text());
    }
    for (body, status, text) in [
        ("", 500, "it ends too early"),
        ("{\"username\":", 500, "it ends too early"),
        ("[]", 500, "a value is of another kind than needed"),
        ("{\"username\":5}", 500, "a value is of another kind than needed"),
    ] {
        let refused = engine.call("POST", "/auth", &[("Content-Type", "application/json")], body.as_bytes());
        assert!(refused.text().contains(text), "{body}: {} {}", refused.status(), refused.text());
        assert_eq!(refused.status(), status, "{body}: {}", refused.text());
    }
    let name = format!("{IMAGE}:latest");
    for docker in cli::clients(&engine) {
        let wrong = docker.run(&["login", "-u", "joe", "-p", "wrong", "127.0.0.1:5000"]);
        assert!(wrong.code != 0 && wrong.stderr.contains("auth"), "{wrong:?}");
        assert!(
            docker.ok(&["login", "-u", "joe", "-p", "secret", "127.0.0.1:5000"]).contains("Login Succeeded")
        );
        let _ = docker.ok(&["tag", "busybox", &name]);
        let _ = docker.ok(&["push", &name]);
        let _ = docker.ok(&["rmi", &name]);
        let _ = docker.ok(&["pull", &name]);
        let _ = docker.ok(&["logout", "127.0.0.1:5000"]);
        let refused = docker.run(&["pull", &name]);
        assert!(refused.code != 0 && refused.stderr.contains("pull access denied"), "{refused:?}");
        let _ = docker.ok(&["rmi", &name]);
    }
    forget(&engine, &["busybox"]);
    drop(index);
}

#[test]
fn a_token_service_opens_a_registry() {
    let engine = Engine::start();
    let directory = std::env::temp_dir().join(format!("authority-of-tests-{}", std::process::id()));
    let certificates = Arc::new(Certificates::make(&directory, "IP:127.0.0.1"));
    let service = TokenService::start(&engine, Arc::clone(&certificates), Duration::from_secs(120));
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Token(Arc::clone(&certificates)));
    let image = "127.0.0.1:5000/a/b";
    publish(&engine, image, &authorization("joe", "secret"));
    let asked: Vec<String> = service.server.asked().into_iter().map(|asked| asked.query).collect();
    assert!(asked.iter().any(|query| query.contains("scope=repository%3Aa%2Fb%3Apull%2Cpush")), "{asked:?}");
    assert_eq!(asked.len(), 1, "one token serves the whole push: {asked:?}");

    let refresh = BASE64_URL_SAFE.encode(r#"{"identitytoken":"opaque-refresh-token"}"#);
    for header in [authorization("joe", "secret"), refresh] {
        let _ = pull(&engine, image, "latest", &[("X-Registry-Auth", &header)]).succeeded();
        forget(&engine, &[image]);
    }
    for header in [
        authorization("joe", "wrong"),
        BASE64_URL_SAFE.encode(r#"{"registrytoken":"forged"}"#),
        "e30=".to_owned(),
    ] {
        let refused = pull(&engine, image, "latest", &[("X-Registry-Auth", &header)]);
        assert!(refused.status == 404 && refused.failure().starts_with("pull access denied"), "{refused:?}");
    }
    let logged_in = log_in(&engine, "joe", "secret", "127.0.0.1:5000").expect(200).json();
    assert_eq!(logged_in, json!({ "Status": "Login Succeeded" }));
    let body = json!({ "username": "joe", "password": "secret", "serveraddress": "127.0.0.1:5000" });
    let logged_in = engine.at("1.23").post_json("/auth", &body).expect(200).json();
    let kept = json!({ "Status": "Login Succeeded", "IdentityToken": "opaque-refresh-token" });
    assert_eq!(logged_in, kept);
    let wrong = log_in(&engine, "joe", "wrong", "127.0.0.1:5000").expect(500);
    assert!(wrong.text().contains("who are you?"), "{}", wrong.text());
    drop(registry);
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn tokens_that_end_are_renewed() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    let mut content = Content::default();
    for tag in ["v1", "v2", "v3"] {
        let layer = |name: &str| tar_of(&[(name, tag.as_bytes())]);
        let _ = content.image(tag, &[layer("a"), layer("b"), layer("c")]);
    }
    // Each token opens four doors.
    let used: Arc<Mutex<Vec<usize>>> = Arc::default();
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| {
        let mut used = used.lock().expect("the tokens");
        if asked.path == "/token" {
            used.push(0);
            let token = json!({ "access_token": format!("t{}", used.len()), "expires_in": 900 });
            return Reply::new(200).body(token.to_string());
        }
        let number = asked
            .header("authorization")
            .and_then(|token| token.strip_prefix("Bearer t")?.parse::<usize>().ok());
        if let Some(uses) = number.and_then(|number| used.get_mut(number - 1)).filter(|uses| **uses < 4) {
            *uses += 1;
            return content.answer(asked);
        }
        let challenge = "Bearer realm=\"http://127.0.0.1:5000/token\",service=\"s\",error=\"invalid_token\"";
        Reply::new(401).with("WWW-Authenticate", challenge)
    });
    let _ = pull(&engine, "127.0.0.1:5000/a", "", &[]).succeeded();
    // A list of tags, and of each a manifest, a config and three layers: sixteen doors.
    let tokens = server.asked_for("/token").len();
    assert!((4..=6).contains(&tokens), "{tokens} tokens");
    forget(&engine, &["127.0.0.1:5000/a:v1", "127.0.0.1:5000/a:v2", "127.0.0.1:5000/a:v3"]);
}

#[test]
fn an_authority_of_its_own_vouches_for_a_registry() {
    let directory = std::env::temp_dir().join(format!("certificates-of-tests-{}", std::process::id()));
    let certificates = Arc::new(Certificates::make(&directory.join("good"), "IP:10.99.0.1"));
    let other = Certificates::make(&directory.join("other"), "IP:10.99.0.1");
    let trusted = directory.join("trusted");
    let file = directory.join("daemon.json");
    fs::write(&file, "{}").expect("a configuration");
    let arguments = [
        "--registry-certificates",
        &trusted.display().to_string(),
        "--config-file",
        &file.display().to_string(),
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let _ = host::in_network_of(engine.network_pid(), &["ip", "address", "add", "10.99.0.1/32", "dev", "lo"]);
    let _registry = Registry::start(&engine, "10.99.0.1:5000", &Protection::Tls(Arc::clone(&certificates)));
    let _plain = Registry::start(&engine, "10.99.0.1:5001", &Protection::Open);
    let image = "10.99.0.1:5000/p";

    let unknown = pull(&engine, image, "latest", &[]);
    let hint = "add `--insecure-registry 10.99.0.1:5000` to the daemon's arguments";
    assert!(unknown.failure().contains(hint) && unknown.failure().contains("TLS"), "{unknown:?}");
    let of_host = trusted.join("10.99.0.1:5000");
    fs::create_dir_all(&of_host).expect("a directory");
    fs::copy(other.path("authority.pem"), of_host.join("ca.crt")).expect("a certificate");
    let wrong = pull(&engine, image, "latest", &[]);
    assert!(wrong.failure().contains("TLS"), "another authority does not vouch: {wrong:?}");
    fs::copy(certificates.path("authority.pem"), of_host.join("ca.crt")).expect("a certificate");
    publish(&engine, image, "e30=");
    let _ = pull(&engine, image, "latest", &[]).succeeded();
    fs::write(of_host.join("ca.crt"), "no certificate").expect("a file");
    let broken = pull(&engine, image, "latest", &[]);
    assert!(broken.failure().contains("certificates for 10.99.0.1:5000 cannot be used"), "{broken:?}");
    fs::remove_dir_all(&of_host).expect("the directory");

    // Neither an unknown certificate nor plain HTTP will do until the registry is called insecure.
    let plain = pull(&engine, "10.99.0.1:5001/p", "latest", &[]);
    assert!(plain.failure().contains("--insecure-registry 10.99.0.1:5001"), "{plain:?}");
    fs::write(&file, r#"{"insecure-registries":["10.99.0.0/16"]}"#).expect("a configuration");
    let pid =
        i32::try_from(engine.daemon_pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("to reload");
    let networks =
        || engine.get("/info").expect(200).json()["RegistryConfig"]["InsecureRegistryCIDRs"].clone();
    wait::until("the settings", || {
        networks().as_array()?.contains(&Value::from("10.99.0.0/16")).then_some(())
    });
    let _ = pull(&engine, image, "latest", &[]).succeeded();
    let _ = engine.post(&format!("/images/{image}/tag?repo=10.99.0.1:5001/p")).expect(201);
    let _ = push(&engine, "10.99.0.1:5001/p", "latest", None).succeeded();
    forget(&engine, &[image, "10.99.0.1:5001/p"]);
    let _ = host::in_network_of(engine.network_pid(), &["ip", "address", "del", "10.99.0.1/32", "dev", "lo"]);
    let _ = fs::remove_dir_all(directory);
}
