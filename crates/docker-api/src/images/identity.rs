//! `Identity`: which repositories of registries have an image, as its pulls and pushes have shown. Tags do not change it.
//! Signatures and the records of builds are no part of it: nothing here verifies or keeps them.

use std::collections::BTreeSet;

use engine::images::registry::location;
use model::RepositoryName;
use serde::Serialize;

/// Where an image comes from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Identity {
    pull: Vec<PullIdentity>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PullIdentity {
    repository: String,
}

impl Identity {
    /// The identity of an image with these names by digest, which only registries assign; `None` without any.
    pub(super) fn of(digests: &[String]) -> Option<Self> {
        let repositories =
            digests.iter().filter_map(|name| name.split_once('@')).map(|(repository, _)| repository);
        let locations: BTreeSet<String> = repositories
            .filter_map(|name| RepositoryName::parse(name).ok())
            .map(|name| location(&name))
            .collect();
        let pull: Vec<_> = locations.into_iter().map(|repository| PullIdentity { repository }).collect();
        (!pull.is_empty()).then_some(Self { pull })
    }
}
