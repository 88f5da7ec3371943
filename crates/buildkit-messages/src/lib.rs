//! The messages of BuildKit's protocol, by the names and numbers of its interface definitions: those that are used here,
//! by the engine's side and by the tests, which act as a client.
//!
//! They are written here and not generated from the definitions: a build needs no compiler of such files. A message may
//! always hold fields that its reader does not know.
#![expect(missing_docs, reason = "the interface definitions say what each field means")]

pub mod capabilities;
pub mod content;
pub mod control;
pub mod exec_operation;
pub mod file_operation;
pub mod file_sync;
pub mod gateway;
pub mod google;
pub mod history;
pub mod operations;
pub mod policy;
pub mod session;
pub mod worker;
