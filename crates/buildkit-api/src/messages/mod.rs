//! The messages of BuildKit's services: of its interface definitions only what is read or written here.
//!
//! Fields keep their numbers; a field that nothing here looks at is left out, and decoders skip it.

pub(crate) mod capabilities;
pub(crate) mod control;
pub(crate) mod error_details;
pub(crate) mod file_sync;
pub(crate) mod gateway;
pub(crate) mod google;
pub(crate) mod history;
pub(crate) mod operations;
pub(crate) mod session;
pub(crate) mod worker;
