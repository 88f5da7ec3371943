//! The json-file log: how the shim writes it and how clients read it.
//!
//! # The format
//! One JSON object a line, in the layout that Docker's log readers expect:
//!
//! ```text
//! {"log":"text\n","stream":"stdout","attrs":{"label":"value"},"time":"2026-11-23T12:22:01.496100000Z"}
//! ```
//!
//! - `log` is one line with its newline. A line longer than [`MAXIMUM_PAYLOAD`] is several records, of which
//!   only the last ends in a newline. A line that the process left unfinished has none. Earlier releases
//!   added one, written as `\u000a` and not as `\n`; readers leave it out.
//! - Bytes that are not UTF-8 are written as `\udc80`…`\udcff`, a low surrogate alone: valid JSON by RFC
//!   8259's grammar, which text in UTF-8 can never contain. [`Reader`] returns the original bytes; other readers
//!   show a replacement character.
//! - `attrs` is there only when the log's options select labels or variables.
//! - The file rotates by renaming: `x-json.log` is written, `x-json.log.1` is the one before it, and so on.
//!
//! A line that is not such an object (half of one after a crash, for example) is skipped by readers; a last
//! line without its newline is not yet complete for them.

mod compression;
mod decode;
mod encode;
mod error;
mod files;
mod names;
mod options;
mod reader;
mod record;
mod seek;
mod time;

#[cfg(test)]
mod tests;

pub use compression::Compressor;
pub use decode::decode;
pub use encode::{Encoder, split_lines};
pub use error::LogError;
pub use files::rotate;
pub use names::rotated;
pub use options::{is_bool, is_true, parse_duration, parse_facility, parse_size};
pub use reader::{Position, Reader, Start};
pub use record::{MAXIMUM_LINE, MAXIMUM_PAYLOAD, Record, Stream};
