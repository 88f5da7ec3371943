//! The Docker Engine API: routes, versions, parameters and bodies in; status, wire types and streams out.
//!
//! A request becomes a `Call`; its handler calls the engine and returns a `Reply`. Everything that comes from
//! the client is parsed here, and no wire struct passes further than this crate.

mod auth;
mod body;
mod call;
mod container_settings;
mod containers;
mod cors;
mod detach_keys;
mod error;
mod event_filter;
mod exec;
mod filters;
mod images;
mod json;
mod json_format;
mod json_size;
mod networks;
mod origin;
mod plugins;
mod progress;
#[cfg(test)]
mod properties;
mod prune_filter;
mod query;
mod requests;
mod route;
mod routes;
mod settings;
mod stream;
mod swarm;
mod system;
mod version;
mod volumes;
mod wire;
mod words;

use std::pin::Pin;
use std::sync::Arc;

use buildkit_api::BuildKit;
use engine::Engine;
use http::{Method, StatusCode, header};
use model::ErrorKind;

pub use cors::common_headers;
pub(crate) use error::ApiError;
pub use origin::OriginPolicy;
pub use requests::Requests;
pub use settings::{DaemonSettings, SharedSettings};
pub use version::{ApiVersion, MAX, REFERENCE, VersionError};

use berth_http::{Exchange, Response, Service};
pub(crate) use call::{Call, Handled, MAXIMUM_JSON, Reply, apply_changes};
use query::Query;

/// The state that all requests share.
pub struct Api {
    engine: Arc<Engine>,
    build_kit: BuildKit,
    settings: Arc<SharedSettings>,
    maximum: ApiVersion,
    origins: OriginPolicy,
    requests: Arc<Requests>,
}

impl Service for Api {
    fn call<'a>(&'a self, exchange: &'a mut Exchange) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.answer(exchange))
    }
}

impl Api {
    /// The API up to the version `maximum` in front of an engine, and of what serves BuildKit's protocol for it.
    pub fn new(
        (engine, build_kit): (Arc<Engine>, BuildKit),
        settings: Arc<SharedSettings>,
        maximum: ApiVersion,
        origins: OriginPolicy,
    ) -> Self {
        Self { engine, build_kit, settings, maximum, origins, requests: Arc::default() }
    }

    /// How many requests were answered.
    pub fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    async fn answer(&self, exchange: &mut Exchange) {
        tracing::debug!("{} {}", exchange.head.method, exchange.head.raw_path);
        let version = version::of_path(&exchange.head.path, self.maximum);
        let answer = self.handle(exchange).await;
        self.requests.add();
        let response = match answer {
            Ok(Reply::Sent) | Err(ApiError::Gone) => return,
            Ok(Reply::Whole(response)) => response,
            Err(error) => {
                log(exchange, &error, version);
                error.response(version)
            }
        };
        if !exchange.has_begun() {
            // A failure here means that the client left.
            let _ = exchange.respond(&response).await;
        }
    }

    async fn handle(&self, exchange: &mut Exchange) -> Handled {
        if !exchange.is_client_known() {
            self.origins.check(&exchange.head)?;
        }
        let path = exchange.head.path.clone();
        if exchange.head.method == Method::OPTIONS {
            return Reply::empty(StatusCode::OK);
        }
        if let Some(clean) = routes::cleaned(&path) {
            return Ok(Reply::Whole(redirection(&clean, &exchange.head.query)));
        }
        let found = routes::find(&exchange.head.method, &path, self.maximum)?;
        let call = Call {
            engine: &self.engine,
            build_kit: &self.build_kit,
            settings: &self.settings,
            name: found.name.to_owned(),
            query: Query::parse(&exchange.head.query),
            version: found.version,
            maximum: self.maximum,
            exchange,
        };
        (found.route.handler)(call).await
    }
}

fn redirection(path: &str, query: &str) -> Response {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'%')
        .add(b'\\');
    let mut location = percent_encoding::utf8_percent_encode(path, &KEPT).to_string();
    if !query.is_empty() {
        location.push('?');
        location.push_str(query);
    }
    let response = Response::empty(StatusCode::MOVED_PERMANENTLY);
    response.with(header::LOCATION, location)
}

/// As much of a failure is logged: it may quote a file of a client.
const LOGGED: usize = 1024;

fn log(exchange: &Exchange, error: &ApiError, version: ApiVersion) {
    let text = error.to_string();
    let shown = text.char_indices().nth(LOGGED).map_or(text.as_str(), |(end, _)| &text[..end]);
    let (method, path) = (&exchange.head.method, &exchange.head.raw_path);
    let status = error.status(version).as_u16();
    match error {
        ApiError::Engine(failure)
            if matches!(failure.kind(), ErrorKind::Internal | ErrorKind::Unavailable) =>
        {
            tracing::error!("{method} {path}: {status}: {shown}");
        }
        _ => tracing::info!("{method} {path}: {status}: {shown}"),
    }
}
