//! How archives and overlay spell what is hidden (OCI image layer specification, "whiteouts";
//! overlayfs documentation, "whiteouts and opaque directories").

/// The attribute of a directory that hides everything below it.
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// The prefix of a name that hides another.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// The name that hides all a directory held.
pub(crate) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";
