//! ARG and the values that the request gives.

use std::collections::{BTreeMap, BTreeSet};

use super::Build;
use crate::dockerfile::{self, Argument, DockerfileError, Substituted, Variables};
use crate::error::BuildError;
use crate::event::{BuildEvent, EventSink};

/// Arguments that need no ARG and are no part of a cache key.
const PREDEFINED: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The request's values, and what ARG declares before the first FROM.
#[derive(Debug, Default)]
pub(super) struct BuildArguments {
    given: BTreeMap<String, Option<String>>,
    global: BTreeMap<String, Option<String>>,
    used: BTreeSet<String>,
    substituted: Substituted,
}

impl BuildArguments {
    pub(super) fn new(given: BTreeMap<String, Option<String>>) -> Self {
        Self { given, ..Self::default() }
    }

    /// The variables that FROM may name.
    pub(super) fn global(&self) -> impl Variables + '_ {
        GlobalVariables(self)
    }

    /// The value of a declared argument: the request's, its default, or that declared before FROM.
    fn value(&mut self, name: &str, default: Option<String>) -> Option<String> {
        self.used.insert(name.to_owned());
        let global = || self.global.get(name).cloned().flatten();
        self.given.get(name).cloned().flatten().or(default).or_else(global)
    }

    /// The predefined arguments that the request sets.
    fn predefined(&self) -> impl Iterator<Item = (&str, &str)> {
        PREDEFINED.iter().filter_map(|name| Some((*name, self.given.get(*name)?.as_deref()?)))
    }

    /// Warns of values that no ARG asked for.
    pub(super) fn warn(&self, events: &dyn EventSink) {
        let idle = |name: &&String| !self.used.contains(*name) && !PREDEFINED.contains(&name.as_str());
        let idle: Vec<_> = self.given.keys().filter(idle).map(String::as_str).collect();
        if !idle.is_empty() {
            let text = format!("[Warning] One or more build-args [{}] were not consumed\n", idle.join(" "));
            events.send(BuildEvent::Stream(text));
        }
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

impl Build<'_> {
    /// Declares arguments: for the stage, or for the FROMs when it comes before them.
    ///
    /// # Errors
    /// [`BuildError`] when a default cannot be expanded, or the step cannot be committed.
    pub(super) fn declare(&mut self, arguments: &[Argument]) -> Result<(), BuildError> {
        let mut written = Vec::new();
        for argument in arguments {
            let default = argument.default.as_deref();
            let default = match &self.stage {
                Some(stage) => default.map(|word| dockerfile::expand(word, self.escape, &stage.variables())),
                None => default.map(|word| dockerfile::expand(word, self.escape, &self.arguments.global())),
            };
            let default = default.transpose()?;
            written.push(match &default {
                Some(default) => format!("{}={default}", argument.name),
                None => argument.name.clone(),
            });
            let value = self.arguments.value(&argument.name, default);
            match &mut self.stage {
                Some(stage) => drop(stage.arguments.insert(argument.name.clone(), value)),
                None => drop(self.arguments.global.insert(argument.name.clone(), value)),
            }
        }
        if self.stage.is_none() {
            return Ok(());
        }
        self.commit_metadata(&format!("ARG {}", written.join(" ")))
    }

    /// The arguments that a RUN step sees as variables: `name=value`, those that the cache key has
    /// and those that it has not.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn run_arguments(&self) -> Result<(Vec<String>, Vec<String>), BuildError> {
        let stage = self.stage_ref()?;
        let unset = |name: &str| stage.environment(name).is_none();
        let declared = stage.arguments.iter().filter(|(name, _)| unset(name));
        let declared: Vec<String> =
            declared.filter_map(|(name, value)| Some(format!("{name}={}", value.as_deref()?))).collect();
        let predefined = self.arguments.predefined();
        let predefined = predefined
            .filter(|(name, _)| unset(name) && !stage.arguments.contains_key(*name))
            .map(|(name, value)| format!("{name}={value}"));
        Ok((declared, predefined.collect()))
    }
}
