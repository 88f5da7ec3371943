//! Files of containers from outside: export, and archives of any path.

mod archive;
mod arrival;
mod export;
mod view;

pub use archive::ArchiveSession;
pub use export::ExportSession;
