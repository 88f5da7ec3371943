//! `POST /images/create?fromImage=`: by tag, digest and platform, from Debian's registry and from one made for it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use berth_tests::http::Connection;
use berth_tests::registry::{
    Asked, Content, Messages, Protection, Registry, Reply, Server, gzip, pull, push, tar_of, within_network,
};
use berth_tests::{Address, Engine, Options, query, rootfs, wait};
use serde_json::{Value, json};

/// An engine without any image.
fn bare() -> Engine {
    Engine::start_with(Options { without_image: true, ..Options::default() })
}

fn forget(engine: &Engine, images: &[&str]) {
    for image in images {
        let _ = engine.delete(&format!("/images/{image}?force=1")).expect(200);
    }
}

/// A registry that serves content honestly.
fn serve(engine: &Engine, content: Content) -> Server {
    Server::start(engine, "127.0.0.1:5000", move |asked| content.answer(asked))
}

/// The layers of an image that runs and prints its marker.
fn runnable(marker: &str) -> Vec<Vec<u8>> {
    vec![rootfs::busybox().to_vec(), tar_of(&[("marker", format!("{marker}\n").as_bytes())])]
}

#[test]
fn an_image_has_its_tag_and_its_digest() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = engine.post("/images/busybox/tag?repo=127.0.0.1:5000/a/b&tag=v1").expect(201);
    let digest = push(&engine, "127.0.0.1:5000/a/b", "v1", None).succeeded().digest();
    forget(&engine, &["127.0.0.1:5000/a/b:v1", "busybox"]);

    let path = format!("/images/create{}", query(&[("fromImage", "127.0.0.1:5000/a/b"), ("tag", "v1")]));
    let answer = engine.post(&path).expect(200);
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
    let pulled = Messages::of(&answer).succeeded();
    assert_eq!(pulled.objects[0], json!({ "status": "Pulling from a/b", "id": "v1" }));
    let of_layer: Vec<&str> = pulled.objects[1..]
        .iter()
        .filter(|object| object["id"].is_string())
        .filter_map(|object| object["status"].as_str())
        .filter(|status| *status != "Downloading")
        .collect();
    let steps =
        ["Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"];
    assert_eq!(of_layer, steps);
    assert_eq!(pulled.digest(), digest);
    assert_eq!(pulled.lines().last(), Some(&"Status: Downloaded newer image for 127.0.0.1:5000/a/b:v1"));
    // Every object is a line: clients split the stream at line ends.
    let text = answer.text();
    assert!(text.ends_with("a/b:v1\"}\r\n"), "{text}");
    for line in text.split_terminator("\r\n") {
        let object: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(object.is_object(), "{line}");
    }
    assert!(text.contains("\"Pulling fs layer\",\"progressDetail\":{},\"id\":\""), "{text}");
    assert!(!text.contains("\"progressDetail\":{},\"id\":\"v1\"") && text.contains("\\u003e]"), "{text}");

    let again = pull(&engine, "127.0.0.1:5000/a/b:v1", "", &[]).succeeded();
    assert_eq!(again.lines().last(), Some(&"Status: Image is up to date for 127.0.0.1:5000/a/b:v1"));
    for (image, tag) in
        [("127.0.0.1:5000/a/b", digest.as_str()), (&format!("127.0.0.1:5000/a/b@{digest}"), "")]
    {
        let by_digest = pull(&engine, image, tag, &[]).succeeded();
        assert_eq!(by_digest.digest(), digest);
    }
    let listed = engine.get("/images/json?digests=1").expect(200).json();
    assert_eq!(listed.as_array().expect("a list").len(), 1, "{listed}");
    assert_eq!(listed[0]["RepoTags"], json!(["127.0.0.1:5000/a/b:v1"]));
    assert_eq!(listed[0]["RepoDigests"], json!([format!("127.0.0.1:5000/a/b@{digest}")]));
    let output = engine
        .output(&json!({ "Image": format!("127.0.0.1:5000/a/b@{digest}"), "Cmd": ["cat", "/etc/hostname"] }));
    assert_eq!(output.code, 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() + 1;
    let events = engine.get(&format!("/events?since=1&until={now}")).expect(200).text();
    for event in [
        "\"status\":\"push\",\"id\":\"127.0.0.1:5000/a/b\"",
        "\"status\":\"pull\",\"id\":\"127.0.0.1:5000/a/b:v1\"",
    ] {
        assert!(events.contains(event), "{event}: {events}");
    }
    assert!(
        events.contains(&format!("\"status\":\"pull\",\"id\":\"127.0.0.1:5000/a/b@{digest}\"")),
        "{events}"
    );
    let _ = engine.delete(&format!("/images/127.0.0.1:5000/a/b@{digest}")).expect(200);
    forget(&engine, &["127.0.0.1:5000/a/b:v1"]);
}

#[test]
fn refused_pulls_report_their_reason() {
    let engine = bare();
    let mut content = Content::default();
    let digest = content.image("v1", &runnable("x"));
    let server = serve(&engine, content);
    let zeroes = format!("sha256:{}", "0".repeat(64));
    let begin = Instant::now();
    for (image, tag, status, text) in [
        ("127.0.0.1:5000/a", "nope", 404, "Error: image a:nope not found"),
        ("127.0.0.1:5000/a", zeroes.as_str(), 404, "Error: image a@sha256:0000"),
        ("127.0.0.1:5000/a", "sha256:123", 500, "sha256:123"),
        ("127.0.0.1:5000/a:v1", "v2", 500, "repository name component must match"),
        ("127.0.0.1:5000/Bad", "v1", 500, "repository name component must match"),
        ("127.0.0.1:5000/a", "a b", 500, "Illegal tag name (a b)"),
        ("127.0.0.1:5000/", "v1", 500, "repository name must have at least one component"),
        ("https://127.0.0.1:5000/a", "v1", 500, "Invalid repository name"),
        ("scratch", "", 500, "'scratch' is a reserved name"),
        (&"0".repeat(64), "", 500, "Invalid repository name"),
        ("127.0.0.1:1/x", "v1", 500, "cannot reach the registry 127.0.0.1:1"),
        ("nosuch", "latest", 500, "cannot reach the registry docker.io"),
        ("joe/x", "latest", 500, "cannot reach the registry docker.io"),
        ("docker.io/library/x", "latest", 500, "cannot reach the registry docker.io"),
        ("registry.example.org:5000/x", "latest", 500, "cannot reach the registry registry.example.org:5000"),
    ] {
        let refused = pull(&engine, image, tag, &[]);
        assert!(refused.failure().contains(text), "{image} {tag}: {refused:?}");
        assert_eq!(refused.status, status, "{image} {tag}: {refused:?}");
    }
    assert!(begin.elapsed() < wait::TIMEOUT, "no network is an error in seconds");
    for bad in ["%%%", "Z2FyYmFnZQ==", "W10=", "InRleHQi"] {
        let refused = pull(&engine, "127.0.0.1:5000/a", "v1", &[("X-Registry-Auth", bad)]);
        assert_eq!(refused.status, 400, "{bad}: {refused:?}");
    }
    assert_eq!(engine.get("/images/json?all=1").json(), json!([]));
    assert!(server.asked_for(&digest).is_empty());
}

#[test]
fn every_kind_of_manifest_and_layer_is_read() {
    let engine = bare();
    let mut content = Content::default();
    let (tars, other) = (runnable("this machine's"), runnable("another's"));
    let oci = |name: &str| format!("application/vnd.oci.image.{name}");
    let zstd = zstd::encode_all(&tars[1][..], 3).expect("zstd");
    let foreign = content.layer(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        [gzip(&tars[1]), gzip(b"")].concat(),
    );
    let elsewhere = foreign["digest"].as_str().expect("a digest").to_owned();
    let mut away = foreign.clone();
    away["urls"] = json!([format!("http://127.0.0.1:5001/v2/x/blobs/{elsewhere}")]);
    for (tag, layers) in [
        (
            "plain",
            [
                content.layer(&oci("layer.v1.tar"), tars[0].clone()),
                content.layer(&oci("layer.v1.tar"), tars[1].clone()),
            ],
        ),
        (
            "zstd",
            [
                content.layer(&oci("layer.v1.tar+gzip"), gzip(&tars[0])),
                content.layer(&oci("layer.v1.tar+zstd"), zstd),
            ],
        ),
        ("foreign", [content.layer(&oci("layer.v1.tar+gzip"), gzip(&tars[0])), away]),
    ] {
        let mut document = content.document(&tars, &layers);
        if tag != "foreign" {
            document["mediaType"] = json!(oci("manifest.v1+json"));
            document["config"]["mediaType"] = json!(oci("config.v1+json"));
        }
        let kind = document["mediaType"].as_str().expect("a type").to_owned();
        let _ = content.manifest(tag, &kind, &document);
    }
    let (mine, theirs) = (content.image("mine", &tars), content.image("theirs", &other));
    let listed = |digest: &str, architecture: &str, content: &Content| {
        let asked = |path: &str| {
            content.answer(&Asked {
                method: "GET".into(),
                path: path.into(),
                query: String::new(),
                headers: Vec::new(),
                body: Vec::new(),
            })
        };
        let size = asked(&format!("/v2/a/manifests/{digest}")).body.len();
        json!({ "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digest, "size": size,
                "platform": { "architecture": architecture, "os": "linux" } })
    };
    let list = [listed(&theirs, "s390x", &content), listed(&mine, "amd64", &content)];
    let index = json!({ "schemaVersion": 2, "mediaType": oci("index.v1+json"), "manifests": list });
    let index_digest = content.manifest("index", &oci("index.v1+json"), &index);
    let docker = "application/vnd.docker.distribution.manifest.list.v2+json";
    let _ = content.manifest(
        "list",
        docker,
        &json!({ "schemaVersion": 2, "mediaType": docker, "manifests": list }),
    );
    let _ = content.manifest(
        "none",
        docker,
        &json!({ "schemaVersion": 2, "mediaType": docker, "manifests": [list[0]] }),
    );
    let honest = content.clone();
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| {
        // A foreign layer is not here.
        if asked.path.ends_with(&elsewhere) { Reply::new(404) } else { content.answer(asked) }
    });
    let away = Server::start(&engine, "127.0.0.1:5001", move |asked| honest.answer(asked));

    for tag in ["plain", "zstd", "foreign", "index", "list"] {
        let name = format!("127.0.0.1:5000/a:{tag}");
        let pulled = pull(&engine, &name, "", &[]).succeeded();
        assert!(tag != "index" || pulled.digest() == index_digest, "{pulled:?}");
        assert_eq!(engine.output(&json!({ "Image": name })).stdout, "this machine's\n", "{tag}");
        // So that the next tag finds no layer here.
        forget(&engine, &[&name]);
    }
    assert_eq!(away.asked().len(), 1, "the foreign layer came from elsewhere");
    assert!(server.asked().iter().all(|asked| asked.header("authorization").is_none()));
    let none = pull(&engine, "127.0.0.1:5000/a", "none", &[]);
    assert!(
        none.failure().contains(
            "no matching manifest for linux/amd64 in the manifest list entries; there are: linux/s390x"
        ),
        "{none:?}"
    );
    let by_digest = pull(&engine, "127.0.0.1:5000/a", &index_digest, &[]).succeeded();
    assert_eq!(by_digest.digest(), index_digest);
    forget(&engine, &[&format!("127.0.0.1:5000/a@{index_digest}")]);
}

#[test]
fn the_hub_has_a_mirror() {
    let arguments = ["--registry-mirror", "http://127.0.0.1:5000"].map(str::to_owned).to_vec();
    let engine = Engine::start_with(Options { arguments, without_image: true, ..Options::default() });
    let mut content = Content::default();
    let _ = content.image("latest", &runnable("mirrored"));
    let server = serve(&engine, content);
    let credentials = berth_tests::registry::authorization("joe", "secret");
    for name in ["told", "docker.io/library/told", "library/told"] {
        let pulled = pull(&engine, name, "latest", &[("X-Registry-Auth", &credentials)]).succeeded();
        assert!(pulled.say("Pulling from library/told"), "{pulled:?}");
    }
    assert!(!server.asked_for("/v2/library/told/manifests/latest").is_empty());
    let asked = server.asked().len();
    let described = engine
        .at("1.55")
        .call("GET", "/distribution/told/json", &[("X-Registry-Auth", &credentials)], b"")
        .expect(200);
    assert_eq!(described.json()["Platforms"][0]["os"], "linux", "a mirror is asked what it has");
    assert!(server.asked().len() > asked);
    assert!(
        server.asked().iter().all(|asked| asked.header("authorization").is_none()),
        "a mirror sees no password"
    );
    assert_eq!(engine.output(&json!({ "Image": "told" })).stdout, "mirrored\n");
    let info = engine.get("/info").expect(200).json();
    assert_eq!(
        info["RegistryConfig"]["IndexConfigs"]["docker.io"]["Mirrors"],
        json!(["http://127.0.0.1:5000"])
    );
    assert_eq!(info["IndexServerAddress"], "https://index.docker.io/v1/");
    // What the mirror lacks is requested from Docker Hub, which cannot be reached here.
    let missing = pull(&engine, "told", "nosuch", &[]);
    assert!(missing.failure().contains("cannot reach the registry docker.io"), "{missing:?}");
    forget(&engine, &["told"]);
}

#[test]
fn registries_have_names_and_addresses_of_every_kind() {
    let arguments = ["--insecure-registry", "plain.test:5000"].map(str::to_owned).to_vec();
    let environment = vec![
        ("HTTP_PROXY".to_owned(), "http://user:secret@127.0.0.1:3128".to_owned()),
        ("HTTPS_PROXY".to_owned(), "http://127.0.0.1:3128".to_owned()),
        ("NO_PROXY".to_owned(), "direct.test".to_owned()),
    ];
    let engine =
        Engine::start_with(Options { arguments, environment, without_image: true, ..Options::default() });
    let mut content = Content::default();
    let _ = content.image("v1", &runnable("x"));
    let by_proxy = content.clone();
    let proxy = Server::start(&engine, "127.0.0.1:3128", move |asked| {
        // A proxy receives the whole URL of a plain server, and a CONNECT for one with TLS.
        match asked.path.strip_prefix("http://plain.test:5000") {
            Some(path) => by_proxy.answer(&Asked { path: path.to_owned(), ..asked.clone() }),
            None => Reply::new(502),
        }
    });
    let sixth = Server::start(&engine, "[::1]:5000", move |asked| content.answer(asked));

    let _ = pull(&engine, "[::1]:5000/a", "v1", &[]).succeeded();
    assert!(!sixth.asked().is_empty() && proxy.asked().is_empty(), "the loopback is reached directly");
    let listed: Value = engine.get("/images/json").expect(200).json();
    assert_eq!(listed[0]["RepoTags"], json!(["[::1]:5000/a:v1"]));
    forget(&engine, &["[::1]:5000/a:v1"]);

    let _ = pull(&engine, "plain.test:5000/a", "v1", &[]).succeeded();
    let asked = proxy.asked();
    assert!(
        asked.iter().any(|asked| asked.method == "CONNECT" && asked.path == "plain.test:5000"),
        "{asked:?}"
    );
    let told = |asked: &&Asked| asked.path == "http://plain.test:5000/v2/a/manifests/v1";
    let manifest = asked.iter().find(told).unwrap_or_else(|| panic!("{asked:?}"));
    assert_eq!(manifest.header("proxy-authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    forget(&engine, &["plain.test:5000/a:v1"]);
    let before = proxy.asked().len();
    let direct = pull(&engine, "direct.test/a", "v1", &[]);
    assert!(direct.failure().contains("cannot reach the registry direct.test"), "{direct:?}");
    assert_eq!(proxy.asked().len(), before, "exceptions are reached directly");
    let secret = pull(&engine, "secure.test/a", "v1", &[]);
    assert!(secret.failure().contains("cannot reach the registry secure.test"), "{secret:?}");
    assert!(proxy.asked()[before..].iter().all(|asked| asked.method == "CONNECT"));
    let info = engine.get("/info").expect(200).json();
    assert_eq!(
        (&info["HttpProxy"], &info["NoProxy"]),
        (&json!("http://xxxxx:xxxxx@127.0.0.1:3128"), &json!("direct.test"))
    );
}

/// The digest that a registry returns to clients without support of schema 2.
fn converted_digest(engine: &Engine, path: &str) -> String {
    let head = within_network(engine, || {
        let address = "127.0.0.1:5000".parse().expect("an address");
        let mut connection = Connection::open(&Address::Tcp(address)).expect("the registry");
        let only = [("Accept", "application/vnd.docker.distribution.manifest.v1+prettyjws")];
        connection.request("GET", path, &only, b"").expect("a request");
        connection.read_head().expect("an answer")
    });
    assert_eq!(head.status, 200);
    head.header("docker-content-digest").expect("a digest").to_owned()
}

#[test]
fn the_digest_of_a_conversion_is_found() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for tag in ["v1", "v2"] {
        let _ = engine.post(&format!("/images/busybox/tag?repo=127.0.0.1:5000/a&tag={tag}")).expect(201);
    }
    let digest = push(&engine, "127.0.0.1:5000/a", "", None).succeeded().digest();
    let id = engine.get("/images/busybox/json").expect(200).json()["Id"].clone();
    forget(&engine, &["127.0.0.1:5000/a:v1", "127.0.0.1:5000/a:v2", "busybox"]);
    let converted = converted_digest(&engine, "/v2/a/manifests/v2");
    assert_ne!(converted, digest);

    let pulled = pull(&engine, "127.0.0.1:5000/a", &converted, &[]).succeeded();
    assert_eq!(pulled.digest(), converted);
    let image = engine.get(&format!("/images/127.0.0.1:5000/a@{converted}/json")).expect(200).json();
    assert_eq!(image["Id"], id, "the image is the one that the tag names");
    let _ = pull(&engine, "127.0.0.1:5000/a", "v2", &[]).succeeded();
    let listed = engine.get("/images/json?digests=1").expect(200).json();
    assert_eq!(listed[0]["RepoTags"], json!(["127.0.0.1:5000/a:v2"]));
    assert_eq!(listed[0]["RepoDigests"], json!([format!("127.0.0.1:5000/a@{converted}")]));
    let unknown = pull(&engine, "127.0.0.1:5000/a", &format!("sha256:{}", "1".repeat(64)), &[]);
    assert!(unknown.status == 404 && unknown.failure().contains("manifest unknown"), "{unknown:?}");
    let _ = engine.delete(&format!("/images/127.0.0.1:5000/a@{converted}")).expect(200);
    forget(&engine, &["127.0.0.1:5000/a:v2"]);
}

#[test]
fn an_old_manifest_is_read() {
    let engine = bare();
    let mut content = Content::default();
    let tars = runnable("old");
    let blobs: Vec<String> = tars.iter().map(|tar| content.blob(gzip(tar))).collect();
    let entry = |fields: Value| json!({ "v1Compatibility": fields.to_string() });
    let manifest = json!({
        "schemaVersion": 1, "name": "a", "tag": "v1", "architecture": "amd64",
        "fsLayers": [{ "blobSum": blobs[1] }, { "blobSum": blobs[0] }],
        "history": [
            entry(json!({ "id": "2", "parent": "1", "created": "2015-01-01T00:00:00Z", "os": "linux",
                          "config": { "Cmd": ["cat", "/marker"], "Env": ["A=b"] }, "author": "me" })),
            entry(json!({ "id": "1", "created": "2014-01-01T00:00:00Z", "container_config": { "Cmd": ["import"] } })),
        ],
    });
    let kind = "application/vnd.docker.distribution.manifest.v1+json";
    let digest = content.manifest("v1", kind, &manifest);
    let _ = content.manifest("other", kind, &manifest);
    let _server = serve(&engine, content);
    let pulled = pull(&engine, "127.0.0.1:5000/a", "v1", &[]).succeeded();
    assert_eq!(pulled.digest(), digest);
    let image = engine.get("/images/127.0.0.1:5000/a:v1/json").expect(200).json();
    assert_eq!((&image["Author"], &image["Config"]["Env"]), (&json!("me"), &json!(["A=b"])));
    let history = engine.get("/images/127.0.0.1:5000/a:v1/history").expect(200).json();
    assert_eq!(history[1]["CreatedBy"], "import", "{history}");
    assert_eq!(engine.output(&json!({ "Image": "127.0.0.1:5000/a:v1" })).stdout, "old\n");
    let other = pull(&engine, "127.0.0.1:5000/a", "other", &[]);
    assert!(other.failure().contains("it is that of a:v1"), "a manifest of another tag: {other:?}");
    forget(&engine, &["127.0.0.1:5000/a:v1"]);
}
