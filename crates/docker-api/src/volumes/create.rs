//! `POST /volumes/create`

use std::collections::BTreeMap;

use engine::NewVolume;
use http::StatusCode;
use serde::Deserialize;

use super::cluster::no_swarm;
use crate::version::Since;
use crate::wire::WireVolume;
use crate::{ApiError, Call, Handled, Reply, body, json};

/// The body; every field may be left out, and the body itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, String>>,
    labels: Since<23, Option<BTreeMap<String, String>>>,
    cluster_volume_spec: Since<42, Option<serde_json::Value>>,
}

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = body::read(&mut call).await?;
    let asked: Request =
        if body.is_empty() { Request::default() } else { json::from_body(&body).map_err(body::malformed)? };
    if asked.cluster_volume_spec.known_to(call.version).is_some() {
        return Err(no_swarm());
    }
    let new = NewVolume {
        name: Some(asked.name).filter(|name| !name.is_empty()),
        driver: asked.driver.into(),
        options: asked.driver_opts.unwrap_or_default(),
        labels: asked.labels.known_to(call.version).unwrap_or_default(),
    };
    let volume = call.engine.volumes.create(new).await.map_err(ApiError::from)?;
    Reply::json(StatusCode::CREATED, &WireVolume::new(&volume, call.version))
}
