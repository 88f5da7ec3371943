//! Names of users and groups by number, from the host's files: tar headers and lists of processes show them.

use std::collections::HashMap;
use std::path::Path;

/// No host has more accounts than fit.
const LIMIT: u64 = 16 << 20;

/// The host's names by number.
#[derive(Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Accounts {
    /// Reads the host's files; where they are missing, numbers have no names.
    #[must_use]
    pub fn of_host() -> Self {
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// A user's name, empty if unknown.
    #[must_use]
    pub fn user(&self, id: u32) -> &str {
        self.users.get(&id).map_or("", String::as_str)
    }

    /// A group's name, empty if unknown.
    #[must_use]
    pub fn group(&self, id: u32) -> &str {
        self.groups.get(&id).map_or("", String::as_str)
    }
}

/// `name:password:id:…`; of several names of one id the first counts.
fn read(path: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    let bytes = sys::bounded_read::read_on_host(Path::new(path), LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}
