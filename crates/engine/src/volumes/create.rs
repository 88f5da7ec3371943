//! Creates a volume that a client requests by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Timestamp, VolumeDriverChoice, check_volume_name};

use super::claim::show_saved;
use super::service::{Volumes, choose_driver};
use super::volume::{ANONYMOUS_LABEL, Volume};
use crate::error::Error;
use crate::outcome::joined;
use crate::random;
use crate::store::{Durability, Row, VolumeRow};

/// A client's request for a volume.
#[derive(Debug, Clone, Default)]
pub struct NewVolume {
    /// Its name; a random one when `None`.
    pub name: Option<String>,
    /// The driver that stores its content.
    pub driver: VolumeDriverChoice,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// The client's labels.
    pub labels: BTreeMap<String, String>,
}

impl Volumes {
    /// Makes a volume. One of this name that is there already stays as it is.
    ///
    /// # Errors
    /// A name or an option that cannot be, an unknown driver, and a volume of this name that has another driver
    /// or other options.
    pub async fn create(self: &Arc<Self>, new: NewVolume) -> Result<Volume, Error> {
        let volumes = Arc::clone(self);
        joined(tokio::task::spawn_blocking(move || volumes.make_alone(new)).await)?
    }

    fn make_alone(&self, new: NewVolume) -> Result<Volume, Error> {
        let kind = choose_driver(&new.driver)?;
        let driver = self.driver(kind);
        driver.check(&new.options)?;
        let mut labels = new.labels;
        let name = match new.name {
            Some(name) if name.chars().count() == 1 => {
                return Err(Error::refused(
                    "volume name is too short, names should be at least two alphanumeric characters",
                ));
            }
            Some(name) => {
                check_volume_name(&name).map_err(|error| Error::refused(error.to_string()))?;
                name
            }
            None => {
                labels.entry(ANONYMOUS_LABEL.to_owned()).or_default();
                random::name()
            }
        };
        let asked = VolumeRow {
            name,
            driver: kind,
            options: new.options,
            labels,
            // Its creator has its name: it is not removed with a container.
            anonymous: false,
            created: Timestamp::now(),
        };
        let mut claim = self.claim(vec![asked.clone()]);
        if !self.known().rows.contains_key(&asked.name) {
            claim.make(&mut |_, _| Ok(false))?;
            self.database.write(vec![Row::Volume(asked.clone())], Durability::PowerLoss).wait_blocking()?;
            show_saved(self, std::slice::from_ref(&asked));
            claim.keep();
        }
        // Another client may have been quicker.
        self.check_same(&asked)?;
        self.find(&asked.name)
    }

    /// Refuses an existing volume that has another driver, or other options where options are requested.
    ///
    /// # Errors
    /// `Conflict`.
    pub(super) fn check_same(&self, asked: &VolumeRow) -> Result<(), Error> {
        let known = self.known();
        let Some(row) = known.rows.get(&asked.name) else { return Ok(()) };
        let what = if row.driver != asked.driver {
            format!("the {} driver", row.driver)
        } else if !asked.options.is_empty() && row.options != asked.options {
            "other options".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::conflict(format!(
            "a volume named {} already exists with {what}. Choose a different volume name",
            asked.name
        )))
    }
}
