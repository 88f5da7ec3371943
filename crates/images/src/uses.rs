//! Uses of images: the store requests them from the code that runs containers.

use model::{ContainerId, Digest};

/// A container's use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The container.
    pub container: ContainerId,
    /// The image it is made of.
    pub image: Digest,
    /// How it uses it.
    pub kind: UseKind,
}

/// The source of images' uses.
pub trait ImageUsers: Send + Sync {
    /// The containers that use images now. It is called while no container can begin to use one, see
    /// [`Store::resolve_for_use`](crate::Store::resolve_for_use).
    fn uses(&self) -> Vec<ImageUse>;
}

/// How a container uses its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseKind {
    /// It is being created: the image must stay until it is.
    Creating,
    /// It does not run.
    Stopped,
    /// It runs, paused or not.
    Running,
}
