//! Opens a network on an interface of the host.

use std::sync::Mutex;

use super::Network;
use super::on_parent::OnParent;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::parent::ParentOptions;

impl Network {
    /// Opens a network on an interface of the host, and takes over what running containers have of it.
    ///
    /// # Errors
    /// A parent that is not there or cannot be one, a kernel without such interfaces.
    pub fn open_on_parent(options: &ParentOptions, known: Vec<Endpoint>) -> Result<Self, Error> {
        Ok(Self {
            active: None,
            none: None,
            on_parent: Some(OnParent::open(options, known)?),
            warnings: Vec::new(),
            watcher: Mutex::default(),
        })
    }
}
