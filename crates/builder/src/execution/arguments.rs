//! The values that the request gives for ARG.

use std::collections::{BTreeMap, BTreeSet};

use images::registry::Platform;
use model::Timestamp;

use crate::dockerfile::{Argument, DockerfileError, Substituted, Variables, expand};
use crate::order::Order;

/// Arguments that need no ARG and are no part of a cache key, each in both spellings.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The argument with the time of results (reproducible-builds.org).
const EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The argument that names the stage that is meant.
const TARGET_STAGE: &str = "TARGETSTAGE";
/// The argument that names the hosts of RUN steps.
const HOSTNAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";
/// The argument that keeps the cache mounts of builds apart.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";
/// The default host name.
const STANDARD_HOSTNAME: &str = "buildkitsandbox";

/// The argument that decides whether repositories that are contexts keep their `.git`.
const KEEP_GIT: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// Whether repositories that are contexts keep their `.git` by the request's arguments.
pub(super) fn keep_git(given: &BTreeMap<String, Option<String>>) -> bool {
    given.get(KEEP_GIT).and_then(Option::as_deref).is_some_and(|value| matches!(value, "1" | "true"))
}

/// The request's values, and what ARG declares before the first FROM.
#[derive(Debug, Default, Clone)]
pub(super) struct BuildArguments {
    given: BTreeMap<String, Option<String>>,
    pub(super) global: BTreeMap<String, Option<String>>,
    used: BTreeSet<String>,
    substituted: Substituted,
}

impl BuildArguments {
    /// Takes the request's values; the platform that is built for, the host's and the stage that is meant are declared
    /// for FROM.
    pub(super) fn new(
        given: BTreeMap<String, Option<String>>,
        target: Option<&Platform>,
        stage: Option<String>,
    ) -> Self {
        let host = Platform::host();
        let mut arguments = Self { given, ..Self::default() };
        for (kind, platform) in [("TARGET", target.unwrap_or(&host)), ("BUILD", &host)] {
            for (part, value) in [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os.clone()),
                ("ARCH", platform.architecture.clone()),
                ("VARIANT", platform.variant.clone()),
            ] {
                let name = format!("{kind}{part}");
                let value = arguments.value(&name, Some(value));
                arguments.global.insert(name, value);
            }
        }
        if let Some(stage) = stage {
            let value = arguments.value(TARGET_STAGE, Some(stage));
            arguments.global.insert(TARGET_STAGE.to_owned(), value);
        }
        arguments
    }

    /// The variables that FROM may name.
    pub(super) fn global(&self) -> impl Variables + '_ {
        GlobalVariables(self)
    }

    /// The value of a declared argument: the request's, its default, or that declared before FROM.
    pub(super) fn value(&mut self, name: &str, default: Option<String>) -> Option<String> {
        self.used.insert(name.to_owned());
        let global = || self.global.get(name).cloned().flatten();
        self.given.get(name).cloned().flatten().or(default).or_else(global)
    }

    /// The predefined arguments that the request sets; in a graph in small and in capital letters, however they are
    /// given.
    pub(super) fn predefined(&self, order: Order) -> impl Iterator<Item = (&'static str, &str)> {
        let given = |name: &str| self.given.get(name).and_then(Option::as_deref);
        let neighbours = PREDEFINED.chunks(2).flat_map(|pair| [(pair[0], pair[1]), (pair[1], pair[0])]);
        neighbours.filter_map(move |(name, other)| {
            let other = (order == Order::Graph).then(|| given(other)).flatten();
            Some((name, given(name).or(other)?))
        })
    }

    /// The time that is recorded in all the results of a graph, if the request sets one.
    ///
    /// # Errors
    /// [`DockerfileError::Epoch`] for a value that is not a number of seconds.
    pub(super) fn epoch(&self) -> Result<Option<Timestamp>, DockerfileError> {
        let given = self.given.get(EPOCH).cloned().flatten().filter(|text| !text.is_empty());
        let parse = |text: String| {
            let seconds = text.parse().ok().and_then(|seconds| Timestamp::from_unix(seconds, 0).ok());
            seconds.ok_or(DockerfileError::Epoch(text))
        };
        given.map(parse).transpose()
    }

    /// The name that the hosts of RUN steps have for themselves, in a graph.
    pub(super) fn hostname(&self) -> String {
        let given = self.given.get(HOSTNAME).cloned().flatten().filter(|name| !name.is_empty());
        given.unwrap_or_else(|| STANDARD_HOSTNAME.to_owned())
    }

    /// The prefix of the ids of cache mounts, in a graph.
    pub(super) fn cache_namespace(&self) -> Option<&str> {
        self.given.get(CACHE_NAMESPACE).and_then(Option::as_deref).filter(|name| !name.is_empty())
    }

    /// Whether repositories that are contexts keep their `.git`, in a graph.
    pub(super) fn keep_git(&self) -> bool {
        keep_git(&self.given)
    }

    /// Declares arguments before the first FROM.
    ///
    /// # Errors
    /// [`DockerfileError`] when a default cannot be expanded.
    pub(super) fn declare_global(
        &mut self,
        declared: &[Argument],
        escape: char,
    ) -> Result<(), DockerfileError> {
        for Argument { name, default } in declared {
            let default = default.as_deref().map(|word| expand(word, escape, &self.global())).transpose()?;
            let value = self.value(name, default);
            self.global.insert(name.clone(), value);
        }
        Ok(())
    }

    /// The warning about values that no ARG declares.
    pub(super) fn warning(&self) -> Option<String> {
        let is_known = |name: &str| PREDEFINED.contains(&name) || name.starts_with("BUILDKIT_");
        let idle = |name: &&String| !self.used.contains(*name) && !is_known(name);
        let idle: Vec<_> = self.given.keys().filter(idle).map(String::as_str).collect();
        (!idle.is_empty())
            .then(|| format!("[Warning] One or more build-args [{}] were not consumed\n", idle.join(" ")))
    }
}

struct GlobalVariables<'a>(&'a BuildArguments);

impl Variables for GlobalVariables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.global.get(name).and_then(Option::as_deref)
    }

    fn count(&self, value: &str) -> Result<(), DockerfileError> {
        self.0.substituted.count(value)
    }
}
