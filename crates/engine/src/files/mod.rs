//! Files of containers from outside: export, and archives of any path.

mod export;
pub(crate) mod view;

pub use export::ExportSession;
