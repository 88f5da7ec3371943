//! `GET /version`

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use super::host;
use crate::version::{self, Ranged, Since, Until};
use crate::{Call, Handled, Reply};

/// The engine's own version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that the engine was built from; empty if unknown.
pub(super) const COMMIT: &str = match option_env!("BERTH_GIT_COMMIT") {
    Some(commit) => commit,
    None => "",
};
/// When the engine was built, RFC 3339; empty if unknown.
const BUILD_TIME: &str = match option_env!("BERTH_BUILD_TIME") {
    Some(time) => time,
    None => "",
};
/// No part of the engine is written in Go.
const GO_VERSION: &str = "none";

/// The answer: the documented fields, and some that newer clients show in every version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    version: &'static str,
    api_version: String,
    git_commit: &'static str,
    go_version: &'static str,
    os: &'static str,
    arch: &'static str,
    kernel_version: String,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    experimental: Until<24, bool>,
    build_time: &'static str,
    #[serde(rename = "MinAPIVersion")]
    minimum_api_version: String,
    platform: Platform,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    components: Since<35, Vec<Component>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Platform {
    name: &'static str,
}

/// One of `Components`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: &'static str,
    version: &'static str,
    details: BTreeMap<&'static str, String>,
}

pub(super) fn answer(call: &Call<'_>) -> Handled {
    let (api_version, minimum) = (call.maximum.to_string(), version::MIN.to_string());
    let kernel = host::names().kernel;
    let answer = VersionAnswer {
        version: VERSION,
        git_commit: if COMMIT.is_empty() { "unknown" } else { COMMIT },
        go_version: GO_VERSION,
        os: "linux",
        arch: host::architecture(),
        experimental: Ranged::at(call.version, || false),
        build_time: BUILD_TIME,
        platform: Platform { name: "berth" },
        components: Ranged::at(call.version, || components(&api_version, &minimum, &kernel)),
        api_version,
        minimum_api_version: minimum,
        kernel_version: kernel,
    };
    Reply::json(StatusCode::OK, &answer)
}

/// The daemon, and the program that is the parent of each container.
fn components(api_version: &str, minimum: &str, kernel: &str) -> Vec<Component> {
    let details = [
        ("ApiVersion", api_version),
        ("Arch", host::architecture()),
        ("BuildTime", BUILD_TIME),
        ("Experimental", "false"),
        ("GitCommit", COMMIT),
        ("GoVersion", GO_VERSION),
        ("KernelVersion", kernel),
        ("MinAPIVersion", minimum),
        ("Os", "linux"),
    ];
    let owned = |(name, value): (&'static str, &str)| (name, value.to_owned());
    vec![
        Component { name: "Engine", version: VERSION, details: details.map(owned).into() },
        Component {
            name: "berth-shim",
            version: VERSION,
            details: [("GitCommit", COMMIT)].map(owned).into(),
        },
    ]
}
