//! Dockerfile to image: parsing, planning, cache and steps.

mod dockerfile;
mod ignore;
mod pattern;

pub use dockerfile::{Dockerfile, DockerfileError};
