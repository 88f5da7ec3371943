//! The records of the json-file log: written by the shim, read by daemon and shim.
