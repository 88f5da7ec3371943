//! The names of what a layer's directory holds.

/// The name of a layer's files.
pub(crate) const DIFF: &str = "diff";

/// The name of the record that gives the tar back.
pub(crate) const ASSEMBLY: &str = "assembly";

/// The name of the directory of replaced contents.
pub(crate) const REPLACED: &str = "replaced";
