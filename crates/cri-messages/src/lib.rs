//! The messages of `runtime.v1`: names, numbers and types of the interface's definition, of what is served.
//!
//! They are written here and not made from the definition: a build needs no compiler of such files
//! ([decision 0195](../../../docs/decisions/0195-kubernetes-over-one-engine.md)). Fields of Windows are left out;
//! a message may always hold fields that its reader does not know.
#![expect(missing_docs, reason = "the interface's definition says what each field means")]

pub mod container;
pub mod event;
pub mod image;
pub mod list_stream;
pub mod metrics;
pub mod pod_status;
pub mod runtime;
pub mod sandbox;
pub mod security;
pub mod session;
pub mod signal;
pub mod statistics;
pub mod value;
