//! `POST /build`: the context comes in while the build's words go out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use engine::builder::{BuildEvent, BuildRequest, ContextSource, Intermediate};
use engine::images::registry::{Cancellation, CredentialMap};
use http::HeaderName;
use model::{
    HostSettings, ImageReference, NetworkMode, ReferenceError, ResourceSettings, SettingError, Spelled,
    Ulimit,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::progress::encode;
use crate::query::Query;
use crate::stream::{self, Reporter, answer_progress_of_body, stream_line};
use crate::{ApiError, Call, Handled};
use berth_http::reader_pipe;

const REGISTRY_CONFIG: HeaderName = HeaderName::from_static("x-registry-config");

/// A line of the build.
#[derive(Debug, Serialize)]
struct StreamLine<'a> {
    stream: &'a str,
}

pub(super) async fn build(call: Call<'_>) -> Handled {
    // A malformed header counts as none, as ever: a pull then says what it lacks.
    let credentials =
        CredentialMap::from_header(call.exchange.head.header(&REGISTRY_CONFIG)).unwrap_or_default();
    let (sender, reader) = reader_pipe();
    let context = match call.query.filled("remote") {
        Some(remote) => ContextSource::Remote(remote.to_owned()),
        None => ContextSource::Archive(Box::new(reader)),
    };
    let body_reader = matches!(context, ContextSource::Archive(_)).then_some(sender);
    let request = read_request(&call, context)?;
    let quiet = request.quiet;
    let engine = Arc::clone(call.engine);
    let cancellation = Arc::new(Cancellation::new());
    let stop = Arc::clone(&cancellation);
    let work = stream::start(move |reporter: Reporter| {
        let tell = |event: BuildEvent| {
            let message = match event {
                // The answer begins all the same, so that a failure is reported in its stream.
                _ if quiet => Vec::new(),
                BuildEvent::Stream(text) => stream_line(&StreamLine { stream: &text }),
                BuildEvent::Progress(message) => encode(&message),
            };
            if !reporter.send(message) {
                cancellation.cancel();
            }
        };
        let image = engine.builds.build(request, &credentials, &tell, &cancellation).map_err(failure)?;
        if quiet {
            reporter.send(stream_line(&StreamLine { stream: &format!("{}\n", image.hexadecimal()) }));
        }
        Ok::<(), ApiError>(())
    })?;
    answer_progress_of_body(call.exchange, work, body_reader, move || stop.cancel()).await
}

fn failure(error: engine::builder::BuildError) -> ApiError {
    match error.code() {
        Some(code) => ApiError::Command { code, message: error.to_string() },
        None => ApiError::of_kind(error.kind(), error.to_string()),
    }
}

fn read_request(call: &Call<'_>, context: ContextSource) -> Result<BuildRequest, ApiError> {
    let query = &call.query;
    let names = query.all("t").into_iter().filter(|name| !name.is_empty());
    let names =
        names.map(|name| new_name(&name).map_err(|error| ApiError::of_kind(error.kind(), error.to_string())));
    let removes = if query.text("rm").is_empty() {
        call.version.builds_remove_containers()
    } else {
        query.is_true("rm")
    };
    Ok(BuildRequest {
        context,
        dockerfile: query.filled("dockerfile").map(str::to_owned),
        names: names.collect::<Result<_, _>>()?,
        quiet: query.is_true("q"),
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
    })
}

/// A name for what is built: its digest cannot be chosen.
fn new_name(text: &str) -> Result<ImageReference, ReferenceError> {
    let reference = ImageReference::parse(text)?.with_default_tag();
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
        cpuset_cpus: query.text("cpusetcpus").to_owned(),
        cpuset_mems: query.text("cpusetmems").to_owned(),
        ulimits: ulimits(query)?,
        ..ResourceSettings::default()
    };
    let Ok(network_mode) = query.text("networkmode").parse::<NetworkMode>();
    Ok(HostSettings {
        resources,
        cgroup_parent: query.text("cgroupparent").to_owned(),
        network_mode,
        shm_size: number("shmsize")?,
        extra_hosts: list(query, "extrahosts")?,
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
        [json] if json.starts_with('[') => serde_json::from_str(json)
            .map_err(|error| ApiError::invalid(format!("{name} must be a JSON list of strings: {error}")))?,
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
    let limits: Option<Vec<WireUlimit>> = serde_json::from_str(text)
        .map_err(|error| ApiError::invalid(format!("ulimits must be a JSON list of limits: {error}")))?;
    let limit = |WireUlimit { name, soft, hard }| {
        let name = name.parse().map_err(|error: SettingError| ApiError::invalid(error.to_string()))?;
        Ok(Some(Ulimit { name, soft, hard }))
    };
    limits.map(|limits| limits.into_iter().map(limit).collect()).transpose()
}

/// A JSON object in a parameter of newer clients.
fn object<T: DeserializeOwned + Default>(query: &Query, name: &str) -> Result<BTreeMap<String, T>, ApiError> {
    let Some(text) = query.filled(name) else { return Ok(BTreeMap::new()) };
    let parsed: Option<BTreeMap<String, T>> = serde_json::from_str(text)
        .map_err(|error| ApiError::invalid(format!("{name} must be a JSON object of strings: {error}")))?;
    Ok(parsed.unwrap_or_default())
}
