//! The values that the request gives for ARG.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile::{Argument, DockerfileError, Substituted, Variables, expand};

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
#[derive(Debug, Default, Clone)]
pub(super) struct BuildArguments {
    given: BTreeMap<String, Option<String>>,
    pub(super) global: BTreeMap<String, Option<String>>,
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
    pub(super) fn value(&mut self, name: &str, default: Option<String>) -> Option<String> {
        self.used.insert(name.to_owned());
        let global = || self.global.get(name).cloned().flatten();
        self.given.get(name).cloned().flatten().or(default).or_else(global)
    }

    /// The predefined arguments that the request sets.
    pub(super) fn predefined(&self) -> impl Iterator<Item = (&str, &str)> {
        PREDEFINED.iter().filter_map(|name| Some((*name, self.given.get(*name)?.as_deref()?)))
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

    /// The warning about values that no ARG asked for.
    pub(super) fn warning(&self) -> Option<String> {
        let idle = |name: &&String| !self.used.contains(*name) && !PREDEFINED.contains(&name.as_str());
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
