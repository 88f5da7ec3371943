//! The interface's own data of a pod or a container, stored with the engine's record: its configuration as it
//! came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Record;
use prost::Message;

/// Writes a configuration for the engine to keep.
pub(crate) fn write(config: &impl Message) -> String {
    STANDARD.encode(config.encode_to_vec())
}

/// Reads the configuration of a record; an empty one where it cannot be read.
pub(crate) fn read<M: Message + Default>(record: &Record) -> M {
    let text = record.pod.as_ref().map(|pod| pod.description.as_str()).unwrap_or_default();
    let bytes = STANDARD.decode(text).unwrap_or_default();
    M::decode(bytes.as_slice()).unwrap_or_default()
}
