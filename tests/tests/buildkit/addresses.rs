//! What is said of the addresses that builds are of: where they are named, and that their credentials are not.

use std::fs;

use berth_tests::registry::{Reply, Server, digest};
use berth_tests::services::git;
use berth_tests::{Context, Engine};
use buildkit_messages::history::{BuildHistoryEvent, BuildHistoryRequest};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::client::{Control, Order, Outcome, run};
use crate::offers::Offers;
use crate::streams::frame;

const OPTION: &str = "attest:provenance";
/// What stands before a host, and in its place where it is shown.
const CREDENTIALS: &str = "user:sesam@";
const CROSSES: &str = "xxxxx:xxxxx@";

/// Serves a file, an archive with a Dockerfile, and a repository with one; gives the repository's commit.
fn serve(engine: &Engine) -> (Server, Vec<u8>, String) {
    let (work, served) = (engine.directory().join("work"), engine.directory().join("served"));
    fs::create_dir_all(&work).expect("a directory");
    fs::create_dir_all(&served).expect("a directory");
    let dockerfile = "FROM busybox\nCOPY text /text\n";
    fs::write(work.join("Dockerfile"), dockerfile).expect("a file");
    fs::write(work.join("text"), "of the repository\n").expect("a file");
    let _ = git(&work, &["init", "-q"]);
    let _ = git(&work, &["add", "."]);
    let _ = git(&work, &["commit", "-q", "-m", "x"]);
    let commit = git(&work, &["rev-parse", "HEAD"]).trim().to_owned();
    let bare = served.join("main.git");
    let _ = git(&work, &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
    let _ = git(&bare, &["update-server-info"]);
    let archive = Context::of(dockerfile).file("text", b"of the archive\n").bytes();
    let kept = archive.clone();
    let server = Server::start(engine, "127.0.0.1:0", move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let (kind, content) = match path {
            "/context.tar" => ("application/x-tar", Some(archive.clone())),
            "/file" => ("text/plain", Some(b"a file".to_vec())),
            path => ("text/plain", fs::read(served.join(path.trim_start_matches('/'))).ok()),
        };
        match content {
            Some(content) => Reply::new(200).with("Content-Type", kind).body(content),
            None => Reply::new(404),
        }
    });
    (server, kept, commit)
}

fn build(engine: &Engine, dockerfile: &str, options: &[(&str, &str)]) -> Outcome {
    let order = Order::of(Offers::of(dockerfile, &[]), "said");
    let order = options.iter().fold(order, |order, (name, value)| order.option(name, value));
    run(order.run(engine.socket()))
}

fn succeeded(built: &Outcome) {
    assert!(built.result.is_ok(), "{:?}", built.result);
}

/// What was said of the making of the last image.
fn predicate(engine: &Engine) -> Value {
    let said = engine.at("1.55").get("/images/said/attestations?statement=1").expect(200).json();
    said[0]["Statement"]["predicate"].clone()
}

/// Everything of a build that its client sees.
fn shown(built: &Outcome) -> String {
    format!("{:?} {:?} {:?} {}", built.result, built.progress, built.warnings(), built.output())
}

#[test]
fn credentials_in_addresses_are_not_shown() {
    let engine = Engine::start();
    let (server, _, _) = serve(&engine);
    let host = server.address.to_string();
    let at = |path: &str| format!("http://{CREDENTIALS}{host}/{path}");
    let nobody = format!("http://{CREDENTIALS}127.0.0.1:1/x");
    let hide = |text: &str| {
        assert!(!text.contains("sesam"), "{text}");
    };
    let proxy = ("build-arg:HTTP_PROXY", "http://user:sesam@127.0.0.1:9/");
    for (dockerfile, context) in [
        (format!("FROM busybox\nADD {} /file\n", at("file")), None),
        (format!("FROM busybox\nADD {} /main\n", at("main.git")), None),
        (String::new(), Some(at("context.tar"))),
        (String::new(), Some(at("main.git"))),
        ("FROM busybox\nCOPY --from=other text /text\n".to_owned(), None),
    ] {
        let other = at("context.tar");
        let mut options = vec![(OPTION, "mode=max"), proxy, ("context:other", &*other)];
        options.extend(context.as_ref().map(|context| ("context", context.as_str())));
        let built = build(&engine, &dockerfile, &options);
        succeeded(&built);
        hide(&shown(&built));
        let said = predicate(&engine);
        hide(&said.to_string());
        let crosses = format!("http://{CROSSES}{host}/");
        let materials = said["materials"].as_array().expect("materials");
        let is_named =
            |material: &Value| material["uri"].as_str().is_some_and(|uri| uri.starts_with(&crosses));
        assert!(materials.iter().any(is_named), "{said}");
        let arguments = &said["invocation"]["parameters"]["args"];
        assert_eq!(arguments["build-arg:HTTP_PROXY"], format!("http://{CROSSES}127.0.0.1:9/"), "{said}");
        assert_eq!(arguments["context:other"], format!("{crosses}context.tar"), "{said}");
    }
    let zeros = format!("sha256:{}", "0".repeat(64));
    for (dockerfile, context) in [
        (format!("FROM busybox\nADD {} /x\n", at("missing")), None),
        (format!("FROM busybox\nADD {nobody} /x\n"), None),
        (format!("FROM busybox\nADD {nobody}.git /x\n"), None),
        (format!("FROM busybox\nADD --checksum={zeros} {} /x\n", at("file")), None),
        (String::new(), Some(at("missing"))),
        (String::new(), Some(nobody.clone())),
        (String::new(), Some(format!("{nobody}.git"))),
        (String::new(), Some(format!("ftp://{CREDENTIALS}{host}/x"))),
    ] {
        let options: Vec<_> = context.iter().map(|context| ("context", context.as_str())).collect();
        let built = build(&engine, &dockerfile, &options);
        let _ = built.failure();
        hide(&shown(&built));
    }
    let refused = build(&engine, &format!("FROM busybox\nADD {nobody} /x\n"), &[]);
    let text = &refused.failure().1;
    assert!(text.contains(&format!("http://{CROSSES}127.0.0.1:1/x")), "{text}");
    run(async {
        let control = Control::open(&engine.socket()).await;
        let request = BuildHistoryRequest { early_exit: true, ..BuildHistoryRequest::default() };
        let events: Vec<BuildHistoryEvent> = control
            .raw("/moby.buildkit.v1.Control/ListenBuildHistory", HeaderMap::new(), frame(&request))
            .await
            .expect("records");
        let options = |event: &BuildHistoryEvent| {
            format!("{:?}", event.record.as_ref().map(|record| (&record.frontend_attributes, &record.error)))
        };
        assert!(events.len() > 10);
        events.iter().map(options).for_each(|text| hide(&text));
    });
    hide(&String::from_utf8_lossy(&engine.at("1.55").get("/system/df").expect(200).body));
    engine.forget_builds();
}

#[test]
fn a_classic_build_does_not_show_them_either() {
    let engine = Engine::start();
    let nobody = format!("{CREDENTIALS}127.0.0.1:1");
    for remote in
        [format!("http://{nobody}/x"), format!("http://{nobody}/x.git"), format!("ftp://{nobody}/x")]
    {
        let answer = engine.post(&format!("/build?remote={remote}"));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(CROSSES) || text.contains("127.0.0.1"), "{text}");
        assert!(!text.contains("sesam"), "{text}");
    }
}

#[test]
fn a_build_of_an_address_names_it() {
    let engine = Engine::start();
    let (server, archive, commit) = serve(&engine);
    let host = server.address.to_string();
    let sha256 = |content: &[u8]| json!({ "sha256": digest(content).trim_start_matches("sha256:") });
    let text = "FROM busybox\nCOPY text /text\n";
    for (path, found, has_more) in [
        ("main.git", json!({ "sha1": commit }), false),
        ("main.git#HEAD", json!({ "sha1": commit }), false),
        ("context.tar", sha256(&archive), true),
    ] {
        let context = format!("http://{host}/{path}");
        let source = json!({ "uri": context, "digest": found });
        succeeded(&build(&engine, "", &[("context", &context), (OPTION, "mode=max,version=v0.2")]));
        let said = predicate(&engine);
        let materials = said["materials"].as_array().expect("materials");
        assert!(materials.contains(&source), "{said}");
        let mut config = source.clone();
        config["entryPoint"] = "Dockerfile".into();
        assert_eq!(said["invocation"]["configSource"], config, "{said}");
        let parameters = &said["invocation"]["parameters"];
        assert_eq!((&parameters["locals"], &parameters["args"]), (&Value::Null, &Value::Null), "{said}");
        let secrets = if has_more {
            Value::Null
        } else {
            json!([{ "id": "GIT_AUTH_HEADER", "optional": true }, { "id": "GIT_AUTH_TOKEN", "optional": true }])
        };
        assert_eq!(parameters["secrets"], secrets, "{said}");

        let own = [("context", context.as_str()), ("dockerfilekey", "dockerfile"), (OPTION, "version=v1")];
        succeeded(&build(&engine, text, &own));
        let said = predicate(&engine)["buildDefinition"].clone();
        config = source.clone();
        config["path"] = "Dockerfile".into();
        assert_eq!(said["externalParameters"]["configSource"], config, "{said}");
        assert!(said["resolvedDependencies"].as_array().is_some_and(|all| all.contains(&source)), "{said}");
        assert_eq!(said["externalParameters"]["request"]["locals"], json!([{ "name": "dockerfile" }]));
    }
    engine.forget_builds();
}

#[test]
fn provenance_names_what_of_the_client_steps_may_use() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN --mount=type=secret,id=a --mount=type=secret,id=b,required=true \
                      --mount=type=ssh true\n";
    let build = |wish: &str, label: &str| {
        let mut offers = Offers::of(dockerfile, &[]);
        offers.secrets = [("b".to_owned(), b"x".to_vec())].into();
        let order = Order::of(offers, "said").option(OPTION, wish).option("label:l", label);
        let order = order.option("target", "").option("filename", "Dockerfile");
        let built = run(order.run(engine.socket()));
        succeeded(&built);
        (predicate(&engine), built.warnings())
    };
    let locals = json!([{ "name": "context" }, { "name": "dockerfile" }]);
    // The second one finds the step in the cache.
    for wish in ["mode=max", ""] {
        let (said, warnings) = build(wish, "x");
        let parameters = &said["invocation"]["parameters"];
        assert_eq!(parameters["secrets"], json!([{ "id": "a", "optional": true }, { "id": "b" }]), "{said}");
        assert_eq!(parameters["ssh"], json!([{ "id": "default", "optional": true }]), "{said}");
        assert_eq!(parameters["args"], json!({ "label:l": "x", "target": "" }), "{said}");
        assert_eq!(parameters["locals"], locals, "{said}");
        assert_eq!(said["metadata"]["completeness"]["parameters"], true, "{said}");
        assert!(warnings.iter().any(|warning| warning.contains("mode=max lacks")), "{warnings:?}");
    }
    let (said, warnings) = build("mode=min", "y");
    let parameters = &said["invocation"]["parameters"];
    assert_eq!((&parameters["secrets"], &parameters["ssh"]), (&Value::Null, &Value::Null), "{said}");
    assert_eq!(parameters["args"], json!({ "target": "" }), "{said}");
    assert_eq!(said["metadata"]["completeness"]["parameters"], false, "{said}");
    assert_eq!(warnings, Vec::<String>::new());
    engine.forget_builds();
}

#[test]
fn an_unknown_attestation_is_refused_as_buildkit_does() {
    let engine = Engine::start();
    let built = build(&engine, "FROM busybox\n", &[("attest:foo", "")]);
    assert_eq!(*built.failure(), (2, "unknown attestation type \"foo\"".to_owned()));
    let built = build(&engine, "FROM busybox\n", &[(OPTION, "mode=most")]);
    assert!(built.failure().1.contains("mode=most"), "{:?}", built.failure());
    assert_eq!(built.steps(), [], "it is refused before anything is built");
    engine.forget_builds();
}
