//! Addresses: which are repositories, how policies name them, which are refused.

use super::*;

fn parsed(remote: &str) -> Option<(String, String, String)> {
    Repository::parse(remote).map(|found| (found.address, found.reference, found.directory))
}

#[test]
fn repositories_are_told_from_addresses() {
    let some = |address: &str, reference: &str, directory: &str| {
        Some((address.to_owned(), reference.to_owned(), directory.to_owned()))
    };
    for (remote, want) in [
        ("git://host/x", some("git://host/x", "HEAD", "")),
        ("git://host/x#main:sub/dir", some("git://host/x", "main", "sub/dir")),
        ("git://host/x#:sub", some("git://host/x", "HEAD", "sub")),
        ("git@host:x/y.git#v1", some("git@host:x/y.git", "v1", "")),
        ("github.com/a/b", some("https://github.com/a/b", "HEAD", "")),
        ("http://host/x.git", some("http://host/x.git", "HEAD", "")),
        ("https://host/x.git#b", some("https://host/x.git", "b", "")),
        ("http://host/x.git?ref=v1&subdir=a/b", some("http://host/x.git", "v1", "a/b")),
        ("http://host/x.git?branch=b", some("http://host/x.git", "refs/heads/b", "")),
        ("git://host/x?tag=v1&keep-git-dir=1", some("git://host/x", "refs/tags/v1", "")),
        ("http://host/x.git?download=1", None),
        ("http://host/x.git?submodules=perhaps", None),
        ("http://host/x.tar?ref=v1", None),
        ("http://host/x.tar", None),
        ("https://host/x.git/other", None),
        ("ext::sh -c x", None),
        ("file:///x.git", None),
        ("/etc/passwd", None),
        ("--upload-pack=x", None),
    ] {
        assert_eq!(parsed(remote), want, "{remote}");
    }
}

#[test]
fn words_that_git_could_take_for_options_are_refused() {
    for remote in [
        "git://host/x#--upload-pack=touch",
        "git://host/x#a b",
        "git://host/x#+refs/heads/a",
        "git://host/x#a*",
        "git://-oProxyCommand=x/y",
        "git@-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://user@-oProxyCommand=x/y",
        "ssh://-x/y@z",
        "ssh://-x@host/y",
        "ssh://[-x]/y",
        "https://-x/y@z.git",
        "ssh://evil.example%2Fx@host/y",
        "ssh://host%2Fx/y",
        "git://%2Dx/y",
        "ssh://[evil.example]@host/y",
        "ssh://[evil.example].host/y",
        "git@[evil.example]@host:y",
        "git://host/x y",
        "git://host/x?ref=--upload-pack=touch",
        "git://host/x?ref=",
    ] {
        assert!(Repository::parse(remote).unwrap().check().is_err(), "{remote}");
    }
    assert!(Repository::parse("git://host/x#feature/a-b_c.d").unwrap().check().is_ok());
}

#[test]
fn a_query_has_fields_of_repositories_alone() {
    for (query, want) in [
        ("foo=v1", "unexpected query \"foo\""),
        ("ref=v1&foo", "query \"foo\" has no value"),
        ("submodules=maybe", "invalid submodules value: \"maybe\""),
    ] {
        let refused = Repository::parse(&format!("git://host/x?{query}")).unwrap().check();
        assert_eq!(refused.unwrap_err().to_string(), want, "{query}");
    }
}

#[test]
fn an_address_with_an_at_sign_in_its_path_is_valid() {
    for remote in
        ["https://host/x@y.git", "https://me:a%40b@host/x.git", "ssh://git@[::1]:22/x", "git@host:x@y"]
    {
        assert!(Repository::parse(remote).unwrap().check().is_ok(), "{remote}");
    }
}

#[test]
fn an_identifier_names_the_host_that_git_connects_to() {
    for (remote, want) in [
        ("https://evil.example/x@github.com/org/repo.git", "git://evil.example/x@github.com/org/repo.git"),
        ("https://me@evil.example/x@github.com/y.git", "git://evil.example/x@github.com/y.git"),
        ("https://github.com@evil.example/x.git", "git://evil.example/x.git"),
        ("https://a@b@host:1/x.git", "git://host:1/x.git"),
        ("ssh://git@host/x#main", "git://host/x#main"),
        ("git@host:org/x@y.git#:sub", "git://host/org/x@y.git#:sub"),
        ("git@a@host:x", "git://host/x"),
        ("git@evil.example://github.com/x", "git://evil.example///github.com/x"),
        ("git://host", "git://host"),
        ("github.com/a/b", "git://github.com/a/b"),
    ] {
        assert_eq!(Repository::parse(remote).unwrap().identifier(), want, "{remote}");
    }
}
