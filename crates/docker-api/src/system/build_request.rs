//! The parameters of `POST /build`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::str::FromStr;

use engine::builder::{BuildRequest, ContextSource, Intermediate};
use engine::images::registry::{CredentialMap, Platform};
use model::{
    HostSettings, ImageReference, NetworkMode, ReferenceError, ResourceSettings, SettingError, Spelled,
    Ulimit,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::container_settings::{cgroup_parent, cpu_set};
use crate::images::{check_end, platform};
use crate::query::Query;
use crate::{ApiError, Call, json};
use berth_http::reader_pipe;
use bytes::Bytes;
use http::HeaderName;

const REGISTRY_CONFIG: HeaderName = HeaderName::from_static("x-registry-config");

/// A request for a build, as both kinds of builds begin with it.
pub(super) struct BuildCall {
    pub(super) request: BuildRequest,
    pub(super) credentials: CredentialMap,
    /// Takes the request's body, where that is the context.
    pub(super) body: Option<mpsc::Sender<io::Result<Bytes>>>,
}

/// Parses a request for a build.
///
/// # Errors
/// A value that is malformed or not supported.
pub(super) fn read(call: &Call<'_>) -> Result<BuildCall, ApiError> {
    // A malformed header counts as none, as in the reference: a pull then reports what it lacks.
    let credentials =
        CredentialMap::from_header(call.exchange.head.header(&REGISTRY_CONFIG)).unwrap_or_default();
    let (sender, reader) = reader_pipe();
    let (context, body) = match call.query.filled("remote") {
        Some(remote) => (ContextSource::Remote(remote.to_owned()), None),
        None => (ContextSource::Archive(Box::new(reader)), Some(sender)),
    };
    Ok(BuildCall { request: read_request(call, context)?, credentials, body })
}

/// Reads the parameters.
fn read_request(call: &Call<'_>, context: ContextSource) -> Result<BuildRequest, ApiError> {
    let query = &call.query;
    refuse_unsupported(query)?;
    let names = query.all("t").into_iter().filter(|name| !name.is_empty());
    let names = names.map(|name| {
        check_end(&name, call.version)?;
        new_name(&name).map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))
    });
    let removes = if query.text("rm").is_empty() {
        call.version.builds_remove_containers()
    } else {
        query.is_true("rm")
    };
    Ok(BuildRequest {
        dockerfile: query.filled("dockerfile").map(str::to_owned),
        names: names.collect::<Result<_, _>>()?,
        no_cache: query.is_true("nocache"),
        pull: query.is_true("pull"),
        intermediate: match (query.is_true("forcerm"), removes) {
            (true, _) => Intermediate::Remove,
            (false, true) => Intermediate::RemoveOnSuccess,
            (false, false) => Intermediate::Keep,
        },
        host: limits(query)?,
        build_arguments: object(query, "buildargs")?,
        labels: object(query, "labels")?,
        target: query.filled("target").map(str::to_owned),
        platform: platform(call)?,
        cache_from: cache_from(query)?,
        wording: call.version.wording_of_builds(),
        ..BuildRequest::new(context)
    })
}

/// Refuses parameters of later versions that are not supported.
fn refuse_unsupported(query: &Query) -> Result<(), ApiError> {
    let refuse = |name, reason: &str| Err(ApiError::invalid(format!("{name} is not supported: {reason}")));
    match query.text("isolation") {
        "" | "default" => {}
        other => return refuse("isolation", &format!("{other} is a setting of Windows")),
    }
    if query.is_true("squash") {
        return refuse(
            "squash",
            "it is a feature of experimental engines, and each step keeps a layer of its own here",
        );
    }
    match query.text("version") {
        "" | "1" => {}
        // By BuildKit: its outputs are its exporters.
        "2" => return Ok(()),
        other => return refuse("version", &format!("there is no builder of version {other}")),
    }
    match query.text("outputs") {
        "" | "[]" | "null" => Ok(()),
        _ => refuse("outputs", "a build makes an image in the engine's store"),
    }
}

/// The platform of the built images.
fn platform(call: &Call<'_>) -> Result<Option<Platform>, ApiError> {
    let platform = platform::asked_in_words(call)?;
    if let Some(Platform { os, .. }) = platform.as_ref().filter(|platform| platform.os != "linux") {
        let text = format!("platform is not supported: images are built for linux, not for {os}");
        return Err(ApiError::invalid(text));
    }
    Ok(platform)
}

/// The images whose steps count as made here.
fn cache_from(query: &Query) -> Result<Vec<String>, ApiError> {
    let Some(text) = query.filled("cachefrom") else { return Ok(Vec::new()) };
    let images: Option<Vec<String>> = json::from_parameter("cachefrom", text)?;
    Ok(images.unwrap_or_default())
}

/// A name for what is built: its digest cannot be chosen.
fn new_name(text: &str) -> Result<ImageReference, ReferenceError> {
    let reference = ImageReference::parse(text)?.with_default_tag();
    reference.repository.check_new()?;
    match reference.digest {
        Some(digest) => Err(ReferenceError::Tag(digest.to_string())),
        None => Ok(reference),
    }
}

/// The limits of the containers of RUN.
fn limits(query: &Query) -> Result<HostSettings, ApiError> {
    let number = |name| {
        let number =
            query.number_if_filled::<i64>(name).map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok::<i64, ApiError>(number.unwrap_or_default())
    };
    let resources = ResourceSettings {
        memory: number("memory")?,
        memory_swap: number("memswap")?,
        cpu_shares: number("cpushares")?,
        cpu_period: number("cpuperiod")?,
        cpu_quota: number("cpuquota")?,
        cpuset_cpus: cpu_set(query.text("cpusetcpus"), "cpuset cpus")?,
        cpuset_mems: cpu_set(query.text("cpusetmems"), "cpuset mems")?,
        ulimits: ulimits(query)?,
        ..ResourceSettings::default()
    };
    let Ok(network_mode) = query.text("networkmode").parse::<NetworkMode>();
    Ok(HostSettings {
        resources,
        cgroup_parent: cgroup_parent(query.text("cgroupparent")),
        network_mode,
        shm_size: number("shmsize")?,
        extra_hosts: list(query, "extrahosts")?,
        security_options: list(query, "securityopt")?,
        ..HostSettings::default()
    })
}

/// A list in a parameter: of JSON, or of the parameter's values where it is given several times.
fn list<T: FromStr<Err: Display> + Display>(
    query: &Query,
    name: &str,
) -> Result<Option<Vec<Spelled<T>>>, ApiError> {
    let values: Vec<String> = query.all(name).into_iter().filter(|value| !value.is_empty()).collect();
    let texts: Vec<String> = match values.as_slice() {
        [] => return Ok(None),
        [json] if json.starts_with('[') => json::from_parameter(name, json)?,
        _ => values,
    };
    let parse =
        |text: &String| Spelled::parse(text).map_err(|error: T::Err| ApiError::invalid(error.to_string()));
    texts.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

/// A limit of `ulimits`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireUlimit {
    name: String,
    soft: i64,
    hard: i64,
}

fn ulimits(query: &Query) -> Result<Option<Vec<Option<Ulimit>>>, ApiError> {
    let Some(text) = query.filled("ulimits") else { return Ok(None) };
    let limits: Option<Vec<WireUlimit>> = json::from_parameter("ulimits", text)?;
    let limit = |WireUlimit { name, soft, hard }| {
        let name = name.parse().map_err(|error: SettingError| ApiError::invalid(error.to_string()))?;
        Ok(Some(Ulimit { name, soft, hard }))
    };
    limits.map(|limits| limits.into_iter().map(limit).collect()).transpose()
}

/// A JSON object in a parameter of newer clients.
fn object<T: DeserializeOwned + Default>(query: &Query, name: &str) -> Result<BTreeMap<String, T>, ApiError> {
    let Some(text) = query.filled(name) else { return Ok(BTreeMap::new()) };
    json::from_parameter(name, text)
}
