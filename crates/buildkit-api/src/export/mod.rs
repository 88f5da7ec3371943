//! Exporters: where a build's image goes.

mod annotations;
mod archive;
mod directory;
mod image;
mod names;
mod options;
mod result;
mod run;
mod writer;

pub(crate) use run::{check, run};
