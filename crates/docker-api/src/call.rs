//! One request of a known endpoint, as handlers see it, and the work that is left for after the response.

use std::sync::Arc;

use berth_http::{Exchange, Response};
use buildkit_api::BuildKit;
use engine::Engine;
use engine::images::document::Config;
use http::{StatusCode, header};
use model::ContainerSettings;

use crate::error::ApiError;
use crate::json;
use crate::query::Query;
use crate::settings::SharedSettings;
use crate::version::ApiVersion;

/// Most bytes of a JSON body.
pub(crate) const MAXIMUM_JSON: usize = 16 << 20;

/// One request of a known endpoint.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) build_kit: &'a BuildKit,
    pub(crate) settings: &'a SharedSettings,
    pub(crate) exchange: &'a mut Exchange,
    /// The name in the path, decoded.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) version: ApiVersion,
    /// The newest version that is served.
    pub(crate) maximum: ApiVersion,
}

/// The result of a handler.
pub(crate) enum Reply {
    /// This answer is to be sent.
    Whole(Response),
    /// The answer is out already, or the connection was given away.
    Sent,
}

pub(crate) type Handled = Result<Reply, ApiError>;

impl Reply {
    pub(crate) fn json(status: StatusCode, value: &impl serde::Serialize) -> Handled {
        Ok(Self::Whole(Response::json(status, value)))
    }

    pub(crate) const fn empty(status: StatusCode) -> Handled {
        Ok(Self::Whole(Response::empty(status)))
    }
}

impl Call<'_> {
    /// The JSON body, which needs its content type; an empty object when none was announced and none is needed.
    pub(crate) async fn json_body(&mut self) -> Result<bytes::Bytes, ApiError> {
        self.require_json()?;
        self.untyped_json_body().await
    }

    /// The JSON body, regardless of the content type.
    pub(crate) async fn untyped_json_body(&mut self) -> Result<bytes::Bytes, ApiError> {
        let body = self.exchange.body.gather(MAXIMUM_JSON).await?;
        if self.version.bodies_hold_one_value() && json::has_content_behind(&body) {
            return Err(ApiError::bad_request("unexpected content after JSON"));
        }
        Ok(body)
    }

    /// Refuses a body that does not call itself JSON.
    pub(crate) fn require_json(&self) -> Result<(), ApiError> {
        let kind = self.exchange.head.header(&header::CONTENT_TYPE);
        let missing = kind.is_empty() && !self.exchange.body.is_announced();
        if missing || is_json(kind) {
            return Ok(());
        }
        Err(ApiError::invalid(format!("Content-Type specified ({kind}) must be 'application/json'")))
    }

    /// A text of the query that an image keeps; empty where it is not given.
    ///
    /// # Errors
    /// A NUL byte in it.
    pub(crate) fn kept_text(&self, name: &str) -> Result<String, ApiError> {
        let text = self.query.text(name);
        check_nul(name, text)?;
        Ok(text.to_owned())
    }
}

/// Refuses a NUL byte in a query parameter, as in the strings of bodies.
fn check_nul(name: &str, text: &str) -> Result<(), ApiError> {
    if text.contains('\0') {
        return Err(ApiError::bad_request(format!("{name}: {text:?} holds a NUL byte")));
    }
    Ok(())
}

/// Whether a content type is `application/json`, with well-formed parameters or none.
fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    named
        && parts.all(|part| part.is_empty() || part.split_once('=').is_some_and(|(name, _)| !name.is_empty()))
}

/// The config of an image of these settings, with the Dockerfile instructions of `changes` applied.
pub(crate) fn apply_changes(
    settings: &ContainerSettings,
    changes: &[String],
    version: ApiVersion,
) -> Result<Config, ApiError> {
    changes.iter().try_for_each(|change| check_nul("changes", change))?;
    let wording = version.wording_of_builds();
    let applied = engine::builder::apply_changes(Config::of(settings), changes, wording);
    applied.map_err(|error| ApiError::of_kind(error.kind(), error.text(wording)))
}
