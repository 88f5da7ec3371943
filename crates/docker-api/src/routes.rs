//! The routes of all families, matched by method, decoded path and version; the first that fits wins.

use http::Method;

use crate::route::Route;
use crate::version::{self, ApiVersion};
use crate::{ApiError, containers, exec, images, networks, plugins, swarm, system, volumes};

const FAMILIES: &[&[Route]] = &[
    system::ROUTES,
    containers::ROUTES,
    exec::ROUTES,
    images::ROUTES,
    networks::ROUTES,
    plugins::ROUTES,
    swarm::ROUTES,
    volumes::ROUTES,
];

/// The endpoint of a request.
#[derive(Debug)]
pub(crate) struct Found<'path> {
    pub(crate) route: &'static Route,
    /// The name in the path; empty where it has none.
    pub(crate) name: &'path str,
    pub(crate) version: ApiVersion,
}

/// Finds the route of a path, with its version or without.
///
/// # Errors
/// 404 for a path that no route has, 400 for a version that is not served.
pub(crate) fn find<'path>(
    method: &Method,
    path: &'path str,
    maximum: ApiVersion,
) -> Result<Found<'path>, ApiError> {
    let (text, rest) = match version::split_path(path) {
        Some((text, rest)) => (Some(text), rest),
        None => (None, path),
    };
    let unknown = || {
        let is_json = version::of_path(path, maximum).errors_are_json();
        ApiError::not_found(if is_json { "page not found" } else { "404 page not found" })
    };
    let mut fitting = FAMILIES
        .iter()
        .copied()
        .flatten()
        .filter(|route| route.method == *method)
        .filter_map(|route| Some((route, route.name_in(rest)?)))
        .peekable();
    fitting.peek().ok_or_else(unknown)?;
    let version = version::asked(text, maximum)?;
    let (route, name) = fitting.find(|(route, _)| route.is_in(version)).ok_or_else(unknown)?;
    Ok(Found { route, name, version })
}

/// The path that a client is sent to when it wrote empty, `.` or `..` segments; `None` when it did not.
pub(crate) fn cleaned(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut clean = format!("/{}", segments.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::version::MAX;

    #[test]
    fn names_with_slashes_and_words_of_the_api() {
        for (method, path, route, name) in [
            (Method::GET, "/containers/json", "/containers/json", ""),
            (Method::GET, "/v1.20/containers/a/b/json", "/containers/{name}/json", "a/b"),
            (Method::GET, "/containers/x/attach/ws", "/containers/{name}/attach/ws", "x"),
            (Method::DELETE, "/containers/a/alias", "/containers/{name}", "a/alias"),
            (Method::GET, "/v1.0/images/json", "/images/json", ""),
            (Method::GET, "/images/host:5000/x/json/json", "/images/{name}/json", "host:5000/x/json"),
            (Method::GET, "/images/p/get/json", "/images/{name}/json", "p/get"),
            (Method::GET, "/images/p/json/get", "/images/{name}/get", "p/json"),
            (Method::DELETE, "/images/", "/images/{name}", ""),
            (Method::HEAD, "/_ping", "/_ping", ""),
        ] {
            let found = find(&method, path, MAX).expect(path);
            assert_eq!((found.route.path, found.name), (route, name), "{method} {path}");
        }
        for (method, path) in [
            (Method::POST, "/info"),
            (Method::GET, "/build"),
            (Method::GET, "/containers"),
            (Method::GET, "/containers/x/json/"),
            (Method::HEAD, "/containers/json"),
            (Method::POST, "/containers/x/archive"),
            (Method::GET, "/"),
            (Method::GET, "/v1.99/nosuch"),
        ] {
            assert_eq!(find(&method, path, MAX).expect_err(path).status(MAX), 404, "{method} {path}");
        }
        assert_eq!(find(&Method::GET, "/v1.99/info", MAX).expect_err("a version").status(MAX), 400);
    }

    #[test]
    fn no_endpoint_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for route in FAMILIES.iter().copied().flatten() {
            assert!(seen.insert((route.method.as_str(), route.path)), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn unclean_paths_are_cleaned() {
        for (path, clean) in [
            ("/v1.20//version", "/v1.20/version"),
            ("//x", "/x"),
            ("/v1.20/../version", "/version"),
            ("/containers//web/json", "/containers/web/json"),
            ("/a/./b/", "/a/b/"),
            ("/..", "/"),
        ] {
            assert_eq!(cleaned(path).as_deref(), Some(clean), "{path}");
        }
        for path in ["/", "/a/b", "/a/", "/a..b"] {
            assert_eq!(cleaned(path), None, "{path}");
        }
    }
}
