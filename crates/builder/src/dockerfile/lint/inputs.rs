//! The inputs of build checks beside the Dockerfile.

use std::collections::{BTreeMap, BTreeSet};

use crate::ignore::IgnorePatterns;

/// Returns the environment of an image by its name, if known.
pub type Environment<'a> = dyn Fn(&str) -> Option<Vec<String>> + 'a;

/// The inputs of checks beside the Dockerfile.
#[derive(Default)]
pub struct CheckInputs<'a> {
    /// The request's values of ARG.
    pub arguments: BTreeMap<String, Option<String>>,
    /// The excludes of the context.
    pub ignored: Option<&'a IgnorePatterns>,
    /// The environment of an image by its name, if known.
    pub environment: Option<&'a Environment<'a>>,
    /// The numbers of the stages that are built; all of them without any.
    pub stages: Option<&'a BTreeSet<usize>>,
    /// The stage that is meant, where it is not the last one.
    pub target: Option<&'a str>,
}

impl CheckInputs<'_> {
    /// `BUILDKIT_DOCKERFILE_CHECK`: overrides the file's directive.
    pub(super) fn directive(&self) -> Option<&str> {
        self.arguments.get("BUILDKIT_DOCKERFILE_CHECK")?.as_deref()
    }
}

impl std::fmt::Debug for CheckInputs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("CheckInputs");
        shown.field("arguments", &self.arguments).finish_non_exhaustive()
    }
}
