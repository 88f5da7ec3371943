//! The Docker Engine API: routes, versions, parameters and bodies in; status, wire types and streams out.
//!
//! A request becomes a [`Call`]; its handler asks the engine and gives a [`Reply`]. Everything that
//! comes from the client is parsed here, and no wire struct passes further than this crate.

mod auth;
mod containers;
mod cors;
mod error;
mod event_filter;
mod exec;
mod filters;
mod images;
mod json;
mod origin;
mod query;
mod route;
mod settings;
mod stream;
mod system;
mod version;
mod wire;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::Engine;
use http::{Method, StatusCode, header};
use model::Config;
use tokio::sync::Notify;

pub use cors::common_headers;
pub(crate) use error::ApiError;
pub use origin::OriginPolicy;
pub use settings::{DaemonSettings, SharedSettings};

use berth_http::{Exchange, Response, Service};
use query::Query;
use route::Endpoint;
use version::ApiVersion;

/// Most bytes of a JSON body.
const MAXIMUM_JSON: usize = 16 << 20;

/// What all requests share.
pub struct Api {
    engine: Arc<Engine>,
    settings: Arc<SharedSettings>,
    origins: OriginPolicy,
    requests: Arc<Requests>,
}

/// How many requests were answered, for who waits for more of them.
#[derive(Debug, Default)]
pub struct Requests {
    count: AtomicU64,
    changed: Notify,
}

impl Requests {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until there were more than that.
    pub async fn more_than(&self, seen: u64) {
        while self.count() <= seen {
            self.changed.notified().await;
        }
    }

    fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// One request of a known endpoint.
struct Call<'a> {
    engine: &'a Arc<Engine>,
    settings: &'a SharedSettings,
    exchange: &'a mut Exchange,
    /// The name in the path, decoded.
    name: String,
    query: Query,
    version: ApiVersion,
}

/// What a handler leaves to be done.
enum Reply {
    /// This answer is to be sent.
    Whole(Response),
    /// The answer is out already, or the connection was given away.
    Sent,
}

type Handled = Result<Reply, ApiError>;

impl Reply {
    fn json(status: StatusCode, value: &impl serde::Serialize) -> Handled {
        Ok(Self::Whole(Response::json(status, value)))
    }

    const fn empty(status: StatusCode) -> Handled {
        Ok(Self::Whole(Response::empty(status)))
    }
}

impl Service for Api {
    fn call<'a>(&'a self, exchange: &'a mut Exchange) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.answer(exchange))
    }
}

impl Api {
    /// The API in front of this engine.
    pub fn new(engine: Arc<Engine>, settings: Arc<SharedSettings>, origins: OriginPolicy) -> Self {
        Self { engine, settings, origins, requests: Arc::default() }
    }

    /// How many requests were answered.
    pub fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    async fn answer(&self, exchange: &mut Exchange) {
        tracing::debug!("{} {}", exchange.head.method, exchange.head.raw_path);
        let answer = self.handle(exchange).await;
        self.requests.add();
        let response = match answer {
            Ok(Reply::Sent) | Err(ApiError::Gone) => return,
            Ok(Reply::Whole(response)) => response,
            Err(error) => {
                log(exchange, &error);
                error.response()
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
        if let Some(clean) = route::cleaned(&path) {
            return Ok(Reply::Whole(redirection(&clean, &exchange.head.query)));
        }
        let (asked, rest) = match version::split_path(&path) {
            Some((version, rest)) => (Some(version), rest),
            None => (None, path.as_str()),
        };
        let Some((endpoint, name)) = route::find(&exchange.head.method, rest) else {
            return Err(ApiError::not_found("404 page not found"));
        };
        let call = Call {
            engine: &self.engine,
            settings: &self.settings,
            name: name.to_owned(),
            query: Query::parse(&exchange.head.query),
            version: asked.map_or(Ok(version::CURRENT), version::check)?,
            exchange,
        };
        dispatch(endpoint, call).await
    }
}

/// Hands the call to its handler.
async fn dispatch(endpoint: Endpoint, call: Call<'_>) -> Handled {
    match endpoint {
        Endpoint::Ping
        | Endpoint::Info
        | Endpoint::Version
        | Endpoint::Auth
        | Endpoint::Commit
        | Endpoint::Events
        | Endpoint::Build => system::dispatch(endpoint, call).await,
        Endpoint::ExecCreate | Endpoint::ExecStart | Endpoint::ExecResize | Endpoint::ExecInspect => {
            exec::dispatch(endpoint, call).await
        }
        Endpoint::ImageList
        | Endpoint::ImageCreate
        | Endpoint::ImageLoad
        | Endpoint::ImageSearch
        | Endpoint::ImageSaveSeveral
        | Endpoint::ImageSave
        | Endpoint::ImageInspect
        | Endpoint::ImageHistory
        | Endpoint::ImagePush
        | Endpoint::ImageTag
        | Endpoint::ImageRemove => images::dispatch(endpoint, call).await,
        container => containers::dispatch(container, call).await,
    }
}

impl Call<'_> {
    /// The JSON body, which needs its content type; an empty object when none was announced and none is needed.
    async fn json_body(&mut self) -> Result<bytes::Bytes, ApiError> {
        self.require_json()?;
        Ok(self.exchange.body.gather(MAXIMUM_JSON).await?)
    }

    /// Refuses a body that does not call itself JSON.
    fn require_json(&self) -> Result<(), ApiError> {
        let kind = self.exchange.head.header(&header::CONTENT_TYPE);
        let missing = kind.is_empty() && !self.exchange.body.is_announced();
        if missing || is_json(kind) {
            return Ok(());
        }
        Err(ApiError::refused(format!("Content-Type specified ({kind}) must be 'application/json'")))
    }
}

/// Applies the Dockerfile instructions of `changes` to an image's config.
fn apply_changes(config: Config, changes: &[String]) -> Result<Config, ApiError> {
    let applied = engine::builder::apply_changes(config, changes);
    applied.map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))
}

/// Whether a content type is `application/json`, with well-formed parameters or none.
fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    named
        && parts.all(|part| part.is_empty() || part.split_once('=').is_some_and(|(name, _)| !name.is_empty()))
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

fn log(exchange: &Exchange, error: &ApiError) {
    let (method, path, status) = (&exchange.head.method, &exchange.head.raw_path, error.status().as_u16());
    match error {
        ApiError::Engine(failure) if failure.kind() == model::ErrorKind::Internal => {
            tracing::error!("{method} {path}: {status}: {error}");
        }
        _ => tracing::info!("{method} {path}: {status}: {error}"),
    }
}
