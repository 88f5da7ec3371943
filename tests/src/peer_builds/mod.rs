//! Dockerfiles with what BuildKit's own daemon makes of them: `cases/*.txt`, and beside them `results/*.txt`, which
//! `examples/record_builds.rs` wrote down from a real one.
//!
//! ```text
//! === name                       a case: the Dockerfile follows
//! --- file NAME [MODE]           a file of the context; `--- link NAME TARGET` a symbolic link
//! --- tar NAME                   an archive of the context, gzip where it ends in .gz: lines `NAME CONTENT`
//! --- flag NAME VALUE            a flag of `docker buildx build`
//! ```
//!
//! A result is the error, or the configuration and the layers; warnings stand above it.

mod case;
mod outcome;
mod servers;

pub use case::{Case, File, TIME, cases};
pub use outcome::{BaseImage, Outcome, error, results};
pub use servers::Servers;

/// Cases and their results, by the names of their files.
pub const GROUPS: [(&str, &str, &str); 5] = [
    ("copy", include_str!("cases/copy.txt"), include_str!("results/copy.txt")),
    ("documents", include_str!("cases/documents.txt"), include_str!("results/documents.txt")),
    ("run", include_str!("cases/run.txt"), include_str!("results/run.txt")),
    ("settings", include_str!("cases/settings.txt"), include_str!("results/settings.txt")),
    ("stages", include_str!("cases/stages.txt"), include_str!("results/stages.txt")),
];
