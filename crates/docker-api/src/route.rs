//! One route: method, path, the versions that have it, and the handler. Each family of endpoints lists its own.

use std::pin::Pin;

use http::Method;

use crate::call::{Call, Handled};
use crate::version::ApiVersion;

/// Where the name stands in a path. It may contain slashes.
const NAME: &str = "{name}";
/// Matches, as the last of a path, a segment that no handler reads.
const PART: &str = "{part}";

/// Answers a call.
pub(crate) type Handler = for<'a> fn(Call<'a>) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>>;

/// Makes a [`Handler`] of an expression that answers the call.
macro_rules! handler {
    ($call:ident => $answer:expr) => {
        |$call| Box::pin(async move { $answer })
    };
}
pub(crate) use handler;

/// An endpoint: its method and path, its versions, and its handler.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path without its version, such as `/containers/{name}/json`.
    pub(crate) path: &'static str,
    /// Answers the call.
    pub(crate) handler: Handler,
    since: u32,
    until: u32,
}

/// A route for `GET`.
pub(crate) const fn get(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::GET, path, handler)
}

/// A route for `HEAD`.
pub(crate) const fn head(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::HEAD, path, handler)
}

/// A route for `POST`.
pub(crate) const fn post(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::POST, path, handler)
}

/// A route for `PUT`.
pub(crate) const fn put(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::PUT, path, handler)
}

/// A route for `DELETE`.
pub(crate) const fn delete(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::DELETE, path, handler)
}

impl Route {
    const fn new(method: Method, path: &'static str, handler: Handler) -> Self {
        Self { method, path, handler, since: 0, until: u32::MAX }
    }

    /// It came with the version `1.since`.
    pub(crate) const fn since(mut self, since: u32) -> Self {
        self.since = since;
        self
    }

    /// The version `1.until` no longer has it.
    pub(crate) const fn until(mut self, until: u32) -> Self {
        self.until = until;
        self
    }

    /// Whether this version has it.
    pub(crate) const fn is_in(&self, version: ApiVersion) -> bool {
        version.is_within(self.since, self.until)
    }

    /// The name in a path that fits, empty for a route without one; `None` for a path that does not fit.
    pub(crate) fn name_in<'path>(&self, path: &'path str) -> Option<&'path str> {
        match self.path.split_once(NAME) {
            None => (path == self.path).then_some(""),
            Some((before, behind)) => {
                let rest = path.strip_prefix(before)?;
                let Some(behind) = behind.strip_suffix(PART) else { return rest.strip_suffix(behind) };
                let end = rest.rfind('/')? + 1;
                rest.get(..end)?.strip_suffix(behind).filter(|_| end < rest.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_in_its_versions() {
        let route = get("/networks", handler!(call => drop_call(call))).since(21).until(30);
        let is_in = |minor| route.is_in(ApiVersion::minor(minor));
        assert_eq!([20, 21, 29, 30].map(is_in), [false, true, true, false]);
    }

    #[test]
    fn a_last_segment_may_be_any() {
        let route = delete("/containers/{name}/checkpoints/{part}", handler!(call => drop_call(call)));
        assert_eq!(route.name_in("/containers/web/checkpoints/first"), Some("web"));
        for other in ["/containers/web/checkpoints/", "/containers/web/checkpoints", "/containers/web", "/x"]
        {
            assert_eq!(route.name_in(other), None, "{other}");
        }
    }

    fn drop_call(_: Call<'_>) -> Handled {
        crate::call::Reply::empty(http::StatusCode::OK)
    }
}
