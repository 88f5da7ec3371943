//! Images: pulled, listed, found by each of their names, removed with all of them, measured.

use berth_tests::cri::Cri;
use berth_tests::registry::{Asked, Content, Reply, Server, tar_of};
use berth_tests::{Engine, wait};
use cri_messages::image::{
    AuthConfig, Image, ImageFsInfoRequest, ImageFsInfoResponse, ImageStatusRequest, ImageStatusResponse,
    ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest,
    RemoveImageResponse,
};
use cri_messages::value::{ImageSpec, Int64Value};
use tonic::{Code, Status};

use crate::{FLAG, engine};

fn spec(image: &str) -> Option<ImageSpec> {
    Some(ImageSpec { image: image.to_owned(), ..ImageSpec::default() })
}

fn pull(cri: &Cri, image: &str, auth: Option<AuthConfig>) -> Result<String, Status> {
    let asked = PullImageRequest { image: spec(image), auth, sandbox_config: None };
    cri.call("ImageService/PullImage", asked).map(|answer: PullImageResponse| answer.image_ref)
}

fn status(cri: &Cri, image: &str) -> Option<Image> {
    let asked = ImageStatusRequest { image: spec(image), verbose: false };
    let answer: ImageStatusResponse = cri.call("ImageService/ImageStatus", asked).expect("an answer");
    answer.image
}

fn list(cri: &Cri) -> Vec<Image> {
    let answer: ListImagesResponse =
        cri.call("ImageService/ListImages", ListImagesRequest { filter: None }).expect("an answer");
    answer.images
}

fn remove(cri: &Cri, image: &str) -> Result<RemoveImageResponse, Status> {
    cri.call("ImageService/RemoveImage", RemoveImageRequest { image: spec(image) })
}

fn tars() -> [Vec<u8>; 1] {
    [tar_of(&[("marker", b"pulled\n")])]
}

/// A registry with one image; gives the digest of its manifest too.
fn registry(engine: &Engine, address: &str) -> (Server, String) {
    let mut content = Content::default();
    let digest = content.image("v1", &tars());
    let _ = content.image("latest", &tars());
    (Server::start(engine, address, move |asked| content.answer(asked)), digest)
}

#[test]
fn an_image_has_one_identifier_under_all_its_names() {
    let engine = engine();
    let (_one, digest) = registry(&engine, "127.0.0.1:5000");
    let (_two, _) = registry(&engine, "127.0.0.1:5001");
    let cri = Cri::of(&engine);
    let id = pull(&cri, "127.0.0.1:5000/a/b:v1", None).expect("an image");
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(pull(&cri, "127.0.0.1:5001/c:v1", None).expect("the same image"), id);
    assert_eq!(pull(&cri, &format!("127.0.0.1:5000/a/b@{digest}"), None).expect("the same image"), id);
    assert_eq!(pull(&cri, "127.0.0.1:5000/a/b", None).expect("latest"), id);
    let digest_name = format!("127.0.0.1:5000/a/b@{digest}");
    for name in ["127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b", &digest_name, &id, &id["sha256:".len()..]] {
        let image = status(&cri, name).unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(image.id, id, "{name}");
        let tags = ["127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:v1", "127.0.0.1:5001/c:v1"];
        assert_eq!(image.repo_tags, tags);
        assert!(image.repo_digests.contains(&digest_name), "{:?}", image.repo_digests);
        assert!(image.size > 0);
        assert_eq!(image.uid, Some(Int64Value { value: 0 }));
        assert!(!image.pinned);
    }
    let listed = list(&cri);
    assert_eq!(listed.iter().filter(|image| image.id == id).count(), 1);
    // The engine's store is one: Docker's clients see it too, and by the name that they are used to.
    assert!(listed.iter().any(|image| image.repo_tags == ["docker.io/library/busybox:latest"]));
    let seen = engine.get("/images/127.0.0.1:5000/a/b:v1/json").expect(200).json();
    assert_eq!(seen["Id"], id["sha256:".len()..]);
    // By one name all of them go, those of other registries too.
    remove(&cri, "127.0.0.1:5001/c:v1").expect("removed");
    assert_eq!(status(&cri, "127.0.0.1:5000/a/b:v1"), None);
    assert!(list(&cri).iter().all(|image| image.id != id));
    remove(&cri, "127.0.0.1:5001/c:v1").expect("gone already");
    remove(&cri, &id).expect("gone already");
}

#[test]
fn what_cannot_be_pulled_or_read_is_named() {
    let engine = engine();
    let (_registry, _) = registry(&engine, "127.0.0.1:5000");
    let cri = Cri::of(&engine);
    let missing = pull(&cri, "127.0.0.1:5000/a:v2", None).expect_err("no such tag");
    assert_eq!(missing.code(), Code::NotFound, "{missing}");
    let wrong = pull(&cri, "127.0.0.1:5000/A b", None).expect_err("no name");
    assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong}");
    let nothing = pull(&cri, "", None).expect_err("nothing");
    assert_eq!((nothing.code(), nothing.message()), (Code::InvalidArgument, "the request names no image"));
    assert_eq!(status(&cri, "127.0.0.1:5000/a:v2"), None);
}

#[test]
fn a_request_brings_its_own_credentials() {
    let engine = engine();
    let mut content = Content::default();
    let _ = content.image("v1", &tars());
    // The base64 of me:word.
    let is_me = |asked: &Asked| asked.header("authorization") == Some("Basic bWU6d29yZA==");
    let _registry = Server::start(&engine, "127.0.0.1:5000", move |asked| match is_me(asked) {
        true => content.answer(asked),
        false => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"tests\""),
    });
    let cri = Cri::of(&engine);
    let image = "127.0.0.1:5000/private:v1";
    let auth = |server: &str| AuthConfig {
        auth: "bWU6d29yZA==".to_owned(),
        server_address: server.to_owned(),
        ..AuthConfig::default()
    };
    pull(&cri, image, None).expect_err("nobody asks");
    pull(&cri, image, Some(auth("other.example"))).expect_err("credentials of another registry");
    let id = pull(&cri, image, Some(auth("127.0.0.1:5000"))).expect("an image");
    assert_eq!(status(&cri, image).expect("the image").id, id);
    remove(&cri, image).expect("removed");
}

#[test]
fn a_registrys_mirrors_are_asked_before_it_and_in_their_order() {
    let directory = std::env::temp_dir().join(format!("mirrors-of-tests-{}", std::process::id()));
    let hosts = |host: &str, text: &str| {
        let directory = directory.join(host);
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join("hosts.toml"), text).expect("a file");
    };
    let by_digest_alone = "capabilities = [\"pull\"]";
    hosts(
        "real.example",
        &format!(
            "[host.\"http://127.0.0.1:5002\"]\n{by_digest_alone}\n[host.\"http://127.0.0.1:5001\"]\n\
             [host.\"http://127.0.0.1:5000\"]\n"
        ),
    );
    let certificates = format!("--registry-certificates={}", directory.display());
    let engine = Engine::start_with_flags(&[FLAG, &certificates]);
    let (_mirror, digest) = registry(&engine, "127.0.0.1:5000");
    let _empty = Server::start(&engine, "127.0.0.1:5001", |_| Reply::new(404));
    let mut other = Content::default();
    let other_digest = other.image("v1", &[tar_of(&[("marker", b"of the mirror for digests\n")])]);
    let _digests = Server::start(&engine, "127.0.0.1:5002", move |asked| other.answer(asked));
    let cri = Cri::of(&engine);
    let id = pull(&cri, "real.example/a/b:v1", None).expect("an image of the third");
    let image = status(&cri, "real.example/a/b:v1").expect("the image");
    assert_eq!((image.id.as_str(), image.repo_tags), (id.as_str(), vec!["real.example/a/b:v1".to_owned()]));
    assert_eq!(image.repo_digests, [format!("real.example/a/b@{digest}")]);
    let by_digest =
        pull(&cri, &format!("real.example/a/b@{other_digest}"), None).expect("an image of the first");
    assert_ne!(by_digest, id);
    hosts("wrong.example", "[host.\"http://127.0.0.1:5000\"]\nfoo = 1\n");
    let refusal = pull(&cri, "wrong.example/a/b:v1", None).expect_err("a key that is not known");
    assert!(
        refusal.message().contains("wrong.example/hosts.toml") && refusal.message().contains("foo"),
        "{refusal}"
    );
    // The file for all others is read where a registry has none of its own, each time anew.
    hosts("_default", "server = \"http://127.0.0.1:5000\"\n");
    assert_eq!(pull(&cri, "third.example/a/b:v1", None).expect("an image"), id);
    for id in [id, by_digest] {
        remove(&cri, &id).expect("removed");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn an_image_in_use_by_docker_stays() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let id = engine.create(&berth_tests::sh("sleep 100"));
    let refusal = remove(&cri, "busybox").expect_err("in use");
    assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
    assert!(status(&cri, "docker.io/library/busybox:latest").is_some());
    let _ = engine.delete(&format!("/containers/{id}")).expect(204);
}

#[test]
fn the_disk_that_images_take_is_measured() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let measure = || {
        let answer: ImageFsInfoResponse =
            cri.call("ImageService/ImageFsInfo", ImageFsInfoRequest {}).expect("an answer");
        assert!(answer.container_filesystems.is_empty());
        assert_eq!(answer.image_filesystems.len(), 1);
        let usage = answer.image_filesystems[0].clone();
        let place = usage.fs_id.expect("a place").mountpoint;
        assert_eq!(place, engine.data_root().join("images").display().to_string());
        assert!(usage.timestamp > 0);
        (usage.used_bytes.expect("bytes").value, usage.inodes_used.expect("inodes").value)
    };
    let (bytes, inodes) = measure();
    assert!(bytes > 100_000 && inodes > 2, "{bytes} {inodes}");
    engine.import("more", &tar_of(&[("file", &[7; 300_000])]));
    let (more_bytes, more_inodes) = measure();
    assert!(more_bytes >= bytes + 300_000 && more_inodes > inodes, "{more_bytes} {more_inodes}");
    remove(&cri, "more").expect("removed");
    wait::until("the layer's end", || (measure() == (bytes, inodes)).then_some(()));
}
