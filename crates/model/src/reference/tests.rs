//! How references are read and shown.

use super::*;

fn shown(text: &str) -> String {
    match ImageReference::parse(text) {
        Ok(reference) => reference.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn familiar_form_leaves_the_hub_off() {
    for (text, want) in [
        ("busybox", "busybox"),
        ("busybox:", "busybox"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("index.docker.io/busybox", "busybox"),
        ("library/busybox", "busybox"),
        ("library/127.0/x", "library/127.0/x"),
        ("docker.io/joe/x", "joe/x"),
        ("127.0.0.1:5000/library/x:v1", "127.0.0.1:5000/library/x:v1"),
        ("localhost/a/b", "localhost/a/b"),
        ("[::1]:5000/x", "[::1]:5000/x"),
        ("a__b/c--d.e_f", "a__b/c--d.e_f"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn remote_path_names_the_library() {
    let remote = |text: &str| {
        RepositoryName::parse(text)
            .map(|name| (name.host().map(str::to_owned), name.remote_path().into_owned()))
    };
    assert_eq!(remote("busybox"), Ok((None, "library/busybox".to_owned())));
    assert_eq!(remote("joe/x"), Ok((None, "joe/x".to_owned())));
    assert_eq!(remote("h:1/x"), Ok((Some("h:1".to_owned()), "x".to_owned())));
}

#[test]
fn digest_decides_over_tag() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let reference = ImageReference::parse(&format!("h.x/a:v1@{digest}"));
    assert_eq!(reference.map(|name| name.to_string()), Ok(format!("h.x/a@{digest}")));
    assert!(matches!(ImageReference::parse("a@sha256:12"), Err(ReferenceError::Digest(_))));
    assert!(matches!(ImageReference::parse("a@md5:12"), Err(ReferenceError::Digest(_))));
}

#[test]
fn refusals_have_the_known_texts() {
    let component = "repository name component must match \"[a-z0-9]+(?:[._-][a-z0-9]+)*\"";
    for bad in [
        "Bad!",
        "a b",
        "Repo",
        "-a",
        "a-",
        "a..b",
        "a_-b",
        "a//b",
        "/a",
        "a/",
        "ünïcode",
        "a:b:c",
        "docker.io/127.0/x",
    ] {
        assert_eq!(shown(bad), component, "{bad}");
    }
    assert_eq!(shown("scratch"), "'scratch' is a reserved name");
    assert_eq!(shown("scratch:latest"), "'scratch' is a reserved name");
    assert_eq!(shown("https://a/b"), "Invalid repository name (ex: \"registry.domain.tld/myrepos\")");
    assert_eq!(shown("127.0.0.1:5000/"), "repository name must have at least one component");
    assert_eq!(shown(""), "Repository name can't be empty");
    let id = "ab".repeat(32);
    assert!(shown(&id).starts_with("Invalid repository name (abab"));
    assert!(shown(&format!("a:{}", "t".repeat(129))).starts_with("Illegal tag name (ttt"));
    assert!(shown("a:.b").starts_with("Illegal tag name (.b): only"));
    assert_eq!(shown("a/".repeat(200).trim_end_matches('/')), ReferenceError::TooLong.to_string());
}
