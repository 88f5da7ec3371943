//! Images: content store, layers, archives, tags, registries.
