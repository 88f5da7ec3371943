//! All devices that the host's specifications name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use sys::bounded_read;

use super::document::{EditsDocument, Specification};

/// Bytes of a specification; real ones are a hundredth of it.
const LONGEST_FILE: u64 = 1024 * 1024;

/// More specifications than a host has: a bound on what is read.
const MOST_FILES: usize = 1024;

/// A device and what it needs.
#[derive(Debug, Clone)]
pub(crate) struct CatalogDevice {
    /// `vendor.com/class=name`
    pub(super) name: String,
    /// The file that names it; what all devices of one file need is needed once.
    pub(super) file: PathBuf,
    pub(super) shared: Rc<EditsDocument>,
    pub(super) own: EditsDocument,
}

/// All devices by their full names.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    devices: BTreeMap<String, CatalogDevice>,
    failures: Vec<String>,
}

impl Catalog {
    /// Reads all specifications. Devices of a later directory replace those of an earlier one; two of one directory with the
    /// same name cannot be used. A missing directory is empty.
    pub(crate) fn read(directories: &[PathBuf]) -> Self {
        let mut catalog = Self::default();
        for directory in directories {
            let found = catalog.directory(directory);
            for (name, device) in found {
                match device {
                    Some(device) => drop(catalog.devices.insert(name, device)),
                    None => drop(catalog.devices.remove(&name)),
                }
            }
        }
        catalog
    }

    /// A device by its full name.
    pub(super) fn find(&self, name: &str) -> Option<&CatalogDevice> {
        self.devices.get(name)
    }

    /// All full names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// The errors of unreadable files, in one text.
    pub(super) fn failures(&self) -> Option<String> {
        Some(self.failures.join("; ")).filter(|text| !text.is_empty())
    }

    /// The devices of one directory; `None` for one that two files name.
    fn directory(&mut self, directory: &Path) -> BTreeMap<String, Option<CatalogDevice>> {
        let mut found = BTreeMap::new();
        for path in files(directory) {
            match specification(&path) {
                Ok(specification) => {
                    let shared = Rc::new(specification.container_edits);
                    for device in specification.devices {
                        let name = format!("{}={}", specification.kind, device.name);
                        let (shared, own) = (Rc::clone(&shared), device.container_edits);
                        let device = CatalogDevice { name: name.clone(), file: path.clone(), shared, own };
                        found.entry(name).and_modify(|other| *other = None).or_insert(Some(device));
                    }
                }
                Err(cause) => self.failures.push(format!("{}: {cause}", path.display())),
            }
        }
        for (name, device) in &found {
            if device.is_none() {
                self.failures.push(format!("{name} is in two files of {}", directory.display()));
            }
        }
        found
    }
}

/// The specifications in a directory, in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_specification =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml");
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_specification).take(MOST_FILES).collect();
    files.sort();
    files
}

fn specification(path: &Path) -> Result<Specification, String> {
    let bytes = bounded_read::read_on_host(path, LONGEST_FILE).map_err(|error| error.to_string())?;
    Specification::parse(&bytes, path.extension().is_some_and(|end| end == "json"))
}
