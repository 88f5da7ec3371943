//! The routes: declared once, matched by method and decoded path, the first that fits wins.

use http::Method;

/// What a request asks for. Each has one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Ping,
    Info,
    Version,
    Auth,
    Commit,
    Events,
    Build,
    ContainerList,
    ContainerCreate,
    ContainerInspect,
    ContainerTop,
    ContainerLogs,
    ContainerChanges,
    ContainerExport,
    ContainerStats,
    ContainerResize,
    ContainerStart,
    ContainerStop,
    ContainerRestart,
    ContainerKill,
    ContainerRename,
    ContainerPause,
    ContainerUnpause,
    ContainerAttach,
    ContainerAttachWebsocket,
    ContainerWait,
    ContainerRemove,
    ContainerCopy,
    ArchiveStat,
    ArchiveRead,
    ArchiveWrite,
    ExecCreate,
    ExecStart,
    ExecResize,
    ExecInspect,
    ImageList,
    ImageCreate,
    ImageLoad,
    ImageSearch,
    ImageSaveSeveral,
    ImageSave,
    ImageInspect,
    ImageHistory,
    ImagePush,
    ImageTag,
    ImageRemove,
}

/// Method, what stands before the name, what stands behind it (`None`: the path has no name in it).
type Route = (Method, &'static str, Option<&'static str>, Endpoint);

/// A name may contain slashes, so fixed paths come before those with a name.
const ROUTES: &[Route] = &[
    (Method::GET, "/_ping", None, Endpoint::Ping),
    (Method::HEAD, "/_ping", None, Endpoint::Ping),
    (Method::GET, "/info", None, Endpoint::Info),
    (Method::GET, "/version", None, Endpoint::Version),
    (Method::POST, "/auth", None, Endpoint::Auth),
    (Method::POST, "/commit", None, Endpoint::Commit),
    (Method::GET, "/events", None, Endpoint::Events),
    (Method::POST, "/build", None, Endpoint::Build),
    (Method::GET, "/containers/json", None, Endpoint::ContainerList),
    (Method::GET, "/containers/ps", None, Endpoint::ContainerList),
    (Method::POST, "/containers/create", None, Endpoint::ContainerCreate),
    (Method::GET, "/containers/", Some("/json"), Endpoint::ContainerInspect),
    (Method::GET, "/containers/", Some("/top"), Endpoint::ContainerTop),
    (Method::GET, "/containers/", Some("/logs"), Endpoint::ContainerLogs),
    (Method::GET, "/containers/", Some("/changes"), Endpoint::ContainerChanges),
    (Method::GET, "/containers/", Some("/export"), Endpoint::ContainerExport),
    (Method::GET, "/containers/", Some("/stats"), Endpoint::ContainerStats),
    (Method::GET, "/containers/", Some("/attach/ws"), Endpoint::ContainerAttachWebsocket),
    (Method::HEAD, "/containers/", Some("/archive"), Endpoint::ArchiveStat),
    (Method::GET, "/containers/", Some("/archive"), Endpoint::ArchiveRead),
    (Method::PUT, "/containers/", Some("/archive"), Endpoint::ArchiveWrite),
    (Method::POST, "/containers/", Some("/start"), Endpoint::ContainerStart),
    (Method::POST, "/containers/", Some("/stop"), Endpoint::ContainerStop),
    (Method::POST, "/containers/", Some("/restart"), Endpoint::ContainerRestart),
    (Method::POST, "/containers/", Some("/kill"), Endpoint::ContainerKill),
    (Method::POST, "/containers/", Some("/rename"), Endpoint::ContainerRename),
    (Method::POST, "/containers/", Some("/pause"), Endpoint::ContainerPause),
    (Method::POST, "/containers/", Some("/unpause"), Endpoint::ContainerUnpause),
    (Method::POST, "/containers/", Some("/attach"), Endpoint::ContainerAttach),
    (Method::POST, "/containers/", Some("/resize"), Endpoint::ContainerResize),
    (Method::POST, "/containers/", Some("/wait"), Endpoint::ContainerWait),
    (Method::POST, "/containers/", Some("/copy"), Endpoint::ContainerCopy),
    (Method::POST, "/containers/", Some("/exec"), Endpoint::ExecCreate),
    (Method::DELETE, "/containers/", Some(""), Endpoint::ContainerRemove),
    (Method::POST, "/exec/", Some("/start"), Endpoint::ExecStart),
    (Method::POST, "/exec/", Some("/resize"), Endpoint::ExecResize),
    (Method::GET, "/exec/", Some("/json"), Endpoint::ExecInspect),
    (Method::GET, "/images/json", None, Endpoint::ImageList),
    (Method::GET, "/images/search", None, Endpoint::ImageSearch),
    (Method::GET, "/images/get", None, Endpoint::ImageSaveSeveral),
    (Method::POST, "/images/create", None, Endpoint::ImageCreate),
    (Method::POST, "/images/load", None, Endpoint::ImageLoad),
    (Method::GET, "/images/", Some("/get"), Endpoint::ImageSave),
    (Method::GET, "/images/", Some("/json"), Endpoint::ImageInspect),
    (Method::GET, "/images/", Some("/history"), Endpoint::ImageHistory),
    (Method::POST, "/images/", Some("/push"), Endpoint::ImagePush),
    (Method::POST, "/images/", Some("/tag"), Endpoint::ImageTag),
    (Method::DELETE, "/images/", Some(""), Endpoint::ImageRemove),
];

/// The endpoint of a path without version, and the name in it.
pub(super) fn find<'path>(method: &Method, path: &'path str) -> Option<(Endpoint, &'path str)> {
    ROUTES.iter().filter(|(wanted, ..)| wanted == method).find_map(|(_, before, behind, endpoint)| {
        let name = match behind {
            None => (path == *before).then_some("")?,
            Some(behind) => path.strip_prefix(before)?.strip_suffix(behind)?,
        };
        Some((*endpoint, name))
    })
}

/// The path that a client is sent to when it wrote empty, `.` or `..` segments; `None` when it did not.
pub(super) fn cleaned(path: &str) -> Option<String> {
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
    use super::*;

    #[test]
    fn names_with_slashes_and_words_of_the_api() {
        for (method, path, endpoint, name) in [
            (Method::GET, "/containers/json", Endpoint::ContainerList, ""),
            (Method::GET, "/containers/a/b/json", Endpoint::ContainerInspect, "a/b"),
            (Method::GET, "/containers/x/attach/ws", Endpoint::ContainerAttachWebsocket, "x"),
            (Method::DELETE, "/containers/a/alias", Endpoint::ContainerRemove, "a/alias"),
            (Method::GET, "/images/json", Endpoint::ImageList, ""),
            (Method::GET, "/images/host:5000/x/json/json", Endpoint::ImageInspect, "host:5000/x/json"),
            (Method::GET, "/images/p/get/json", Endpoint::ImageInspect, "p/get"),
            (Method::GET, "/images/p/json/get", Endpoint::ImageSave, "p/json"),
            (Method::DELETE, "/images/", Endpoint::ImageRemove, ""),
            (Method::HEAD, "/_ping", Endpoint::Ping, ""),
        ] {
            assert_eq!(find(&method, path), Some((endpoint, name)), "{method} {path}");
        }
        for (method, path) in [
            (Method::POST, "/info"),
            (Method::GET, "/build"),
            (Method::GET, "/containers"),
            (Method::GET, "/containers/x/json/"),
            (Method::HEAD, "/containers/json"),
            (Method::POST, "/containers/x/archive"),
            (Method::GET, "/"),
        ] {
            assert_eq!(find(&method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn every_endpoint_of_the_specification_has_its_route() {
        let mut endpoints: Vec<String> =
            ROUTES.iter().map(|(.., endpoint)| format!("{endpoint:?}")).collect();
        endpoints.sort();
        endpoints.dedup();
        assert_eq!(endpoints.len(), 46);
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
