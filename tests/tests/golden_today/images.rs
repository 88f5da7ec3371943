//! Images: listed, inspected, named, saved, loaded, imported, removed.

use berth_tests::golden::{Request, answer};
use berth_tests::{Engine, tarball};

use crate::{check, check_all};

#[test]
fn an_image_that_was_imported() {
    let engine = Engine::start();
    check_all(
        &engine,
        &[
            ("image-list", "GET", "/images/json"),
            ("image-list-by-name", "GET", "/images/json?filter=nosuch"),
            ("image-list-bad-filter", "GET", "/images/json?filters=%7B%22nosuch%22:%5B%22x%22%5D%7D"),
            ("image-inspect", "GET", "/images/busybox/json"),
            ("image-inspect-manifests", "GET", "/images/busybox/json?manifests=1"),
            (
                "image-inspect-platform",
                "GET",
                "/images/busybox/json?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D",
            ),
            ("image-history", "GET", "/images/busybox/history"),
            ("image-unknown", "GET", "/images/nosuch/json"),
            ("image-attestations", "GET", "/images/busybox/attestations"),
            ("image-save-unknown", "GET", "/images/nosuch/get"),
            ("image-tag", "POST", "/images/busybox/tag?repo=copy&tag=1&force=1"),
            ("image-tag-refused", "POST", "/images/busybox/tag?repo=UPPER"),
            ("image-tag-unknown", "POST", "/images/nosuch/tag?repo=copy"),
            ("image-remove-unknown", "DELETE", "/images/nosuch"),
            ("image-push-unknown", "POST", "/images/nosuch/push"),
            ("image-search-no-term", "GET", "/images/search"),
            ("image-prune-nothing", "POST", "/images/prune"),
        ],
    );
    let _ = engine.delete("/images/copy:1").expect(200);
    check("image-remove", |version| {
        let _ = engine.post("/images/busybox/tag?repo=going").expect(201);
        answer(&engine, version, &Request::new("DELETE", "/images/going"))
    });
}

#[test]
fn an_image_without_a_name() {
    let engine = Engine::start();
    let id = engine.create_named("used", &berth_tests::sh("true"));
    let made = engine.at("1.55").post(&format!("/commit?container={id}&comment=said&author=me")).expect(201);
    let made = made.json()["Id"].as_str().expect("an id").to_owned();
    check_all(
        &engine,
        &[
            ("image-list-unnamed", "GET", "/images/json?filters=%7B%22dangling%22:%5B%22true%22%5D%7D"),
            ("image-inspect-unnamed", "GET", &format!("/images/{made}/json")),
            ("image-history-unnamed", "GET", &format!("/images/{made}/history")),
        ],
    );
    check("image-remove-used", |version| {
        answer(&engine, version, &Request::new("DELETE", "/images/busybox"))
    });
    let _ = engine.delete(&format!("/images/{made}")).expect(200);
}

#[test]
fn an_image_that_is_loaded_or_imported() {
    let engine = Engine::start();
    let archives =
        ["1.20", "1.55"].map(|version| engine.at(version).get("/images/busybox/get").expect(200).body);
    for (name, archive) in ["image-load", "image-load-layout"].into_iter().zip(&archives) {
        check(name, |version| answer(&engine, version, &Request::archive("/images/load", archive)));
    }
    check("image-load-nothing", |version| {
        answer(&engine, version, &Request::archive("/images/load", &tarball::of(&[("a", "b")])))
    });
    check("image-import", |version| {
        let path = "/images/create?fromSrc=-&repo=imported&message=said";
        let seen = answer(&engine, version, &Request::archive(path, &tarball::of(&[("a", "b")])));
        let _ = engine.delete("/images/imported").expect(200);
        seen
    });
    // The layout is kept with the image.
    let _ = engine.delete("/images/busybox").expect(200);
}
