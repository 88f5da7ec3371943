//! What tests of volumes and binds share: images worth copying, directories of the host, volumes' ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{Engine, merged, rootfs, sh};

/// The body of a create request with binds.
#[must_use]
pub fn with_binds(script: &str, binds: &[String]) -> Value {
    merged(sh(script), json!({ "HostConfig": { "Binds": binds } }))
}

/// The source on the host of a container's mount.
///
/// # Panics
/// When it does not have this mount.
#[must_use]
pub fn source(engine: &Engine, id: &str, destination: &str) -> PathBuf {
    let mounts = engine.inspect(id)["Mounts"].clone();
    let found = mounts.as_array().expect("a list").iter().find(|mount| mount["Destination"] == destination);
    PathBuf::from(found.expect("the mount")["Source"].as_str().expect("a path"))
}

/// Removes a named volume: no call of this version of the API does.
///
/// # Panics
/// When it does not exist.
pub fn forget(engine: &Engine, name: &str) {
    std::fs::remove_dir_all(engine.data_root().join("volumes").join(name)).expect("the volume");
    let database = rusqlite::Connection::open(engine.data_root().join("state.db")).expect("the database");
    database.execute("DELETE FROM volumes WHERE name = ?1", [name]).expect("the row");
}

/// Removes an image.
///
/// # Panics
/// When the engine refuses.
pub fn forget_image(engine: &Engine, name: &str) {
    let _ = engine.delete(&format!("/images/{name}")).expect(200);
}

/// A directory of the host that goes away with what is mounted in it.
#[derive(Debug)]
pub struct HostDirectory(pub PathBuf);

impl HostDirectory {
    /// Makes one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("berth-volumes-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// Runs mount(8) in it.
    ///
    /// # Panics
    /// When that fails.
    pub fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).current_dir(&self.0).status().expect("mount");
        assert!(status.success(), "mount {arguments:?}");
    }
}

impl Drop for HostDirectory {
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mine = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut mine: Vec<&str> = mine.filter(|place| Path::new(place).starts_with(&self.0)).collect();
        mine.reverse();
        for place in mine {
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An image with a tree worth copying and links worth fearing.
///
/// # Panics
/// When the engine refuses.
pub fn import_image(engine: &Engine, name: &str) {
    use tar::EntryType::{Directory, Regular, Symlink};
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, mode, owner: u64, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner + 1);
        header.set_mtime(1_400_000_000);
        if kind == Symlink {
            header.set_size(0);
            archive.append_link(&mut header, name, target).expect("a link");
        } else {
            header.set_size(target.len() as u64);
            archive.append_data(&mut header, name, target.as_bytes()).expect("an entry");
        }
    };
    add("data", Directory, 0o1777, 1000, "");
    add("data/seed", Regular, 0o640, 1000, "seed\n");
    add("data/program", Regular, 0o4755, 0, "#!/bin/sh\n");
    add("data/deep", Directory, 0o700, 1, "");
    add("data/deep/file", Regular, 0o600, 1, "deep\n");
    add("data/link", Symlink, 0o777, 0, "deep/file");
    add("data/outside", Symlink, 0o777, 0, "../../../../etc/shadow");
    for (link, target) in [
        ("to-data", "/data"),
        ("to-climb", "../../.."),
        ("to-proc", "/proc"),
        ("to-host", "/../../../../../../tmp/berth-escape"),
    ] {
        add(link, Symlink, 0o777, 0, target);
    }
    let extra = archive.into_inner().expect("the archive");
    // Two archives, one behind the other: the first without its end.
    let base = rootfs::busybox();
    let whole = [&base[..base.len() - 1024], &extra[..]].concat();
    engine.import(name, &whole);
}
