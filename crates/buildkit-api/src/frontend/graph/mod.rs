//! Build graphs that clients make themselves (LLB): decoded, and translated into the builder's own language.
//!
//! Each operation becomes a stage: a source is an image or what ADD and COPY bring into nothing, a command is a RUN, and so
//! on. So graphs have the builder's cache, its parallel stages and its limits. What has no equivalent there is refused by
//! name.

mod decode;
mod exec;
mod file;
mod inline;
mod own_image;
mod run;
mod source;
mod text;
mod translate;
mod words;

#[cfg(test)]
mod tests;

pub(super) use inline::InlineTree;
pub(crate) use own_image::definition;
pub(super) use run::input;
pub(crate) use run::run_graph;
#[cfg(test)]
pub(crate) use tests::example;
pub(super) use text::LocalSource;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use translate::as_dockerfile;
