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
    /// `BUILDKIT_DOCKERFILE_CHECK`: overrides the file's directive.
    pub directive: Option<String>,
    /// The numbers of the stages that are built; all of them without any.
    pub stages: Option<BTreeSet<usize>>,
    /// The stage that is meant, where it is not the last one.
    pub target: Option<&'a str>,
}

impl std::fmt::Debug for CheckInputs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("CheckInputs");
        shown.field("arguments", &self.arguments).field("directive", &self.directive).finish_non_exhaustive()
    }
}
