//! Archives that would fill the disk or the memory. Needs root.

mod support;

use std::os::fd::{AsFd, OwnedFd};

use berth_images::{Overwrite, unpack};
use support::Archive;

/// A detached file system in memory.
fn small_file_system(options: &[(&str, &str)]) -> OwnedFd {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    };
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).expect("a tmpfs");
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value).expect("an option");
    }
    fsconfig_create(&context).expect("made");
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).expect("a mount")
}

#[test]
fn a_part_of_the_file_system_stays_free() {
    let free = |root: &OwnedFd| {
        let statistics = rustix::fs::fstatvfs(root).expect("its size");
        (statistics.f_bavail * statistics.f_frsize, statistics.f_favail)
    };
    // Many files that fit each, and one whose content is too much without a declared size.
    let many = (0..80).fold(Archive::new(), |all, number| all.file(&format!("f{number}"), &[7; 1 << 20]));
    for (what, archive) in
        [("many", many.finish()), ("one", Archive::new().file("f", &[7; 70 << 20]).finish())]
    {
        let root = small_file_system(&[("size", "64m")]);
        let error = unpack(root.as_fd(), &archive[..], Overwrite::Anything).expect_err(what).to_string();
        assert!(error.contains("as much as is free"), "{what}: {error}");
        assert!(free(&root).0 >= 3 << 20, "{what} left {} bytes", free(&root).0);
    }
    let root = small_file_system(&[("size", "64m"), ("nr_inodes", "1600")]);
    let empty = (0..3000).fold(Archive::new(), |all, number| all.file(&format!("f{number}"), b"")).finish();
    let error = unpack(root.as_fd(), &empty[..], Overwrite::Anything).expect_err("too many").to_string();
    assert!(error.contains("as many as are free"), "{error}");
    assert!((50..200).contains(&free(&root).1), "{} files are left", free(&root).1);
}

#[test]
fn headers_without_end_are_refused() {
    // Nothing in any of them, so that all of them together have no more content than one may have.
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(0);
    let mut flood = Archive::new();
    for _ in 0..20_000 {
        flood.raw(header.clone(), "x", b"");
    }
    let archive = flood.file("f", b"").finish();
    let root = small_file_system(&[]);
    let error = unpack(root.as_fd(), &archive[..], Overwrite::Anything).expect_err("a flood").to_string();
    assert!(error.contains("in the extended headers of an entry"), "{error}");
}

#[test]
fn other_mounts_may_be_filled_and_some_say_no_size() {
    use berth_images::paths::{Placement, put};
    // Without a size: what statfs(2) reports is nothing at all.
    let endless = small_file_system(&[("size", "0")]);
    let archive = Archive::new().file("f", &[7; 1 << 20]).finish();
    unpack(endless.as_fd(), &archive[..], Overwrite::Anything).expect("taken");
    // A container's small mount is filled as the container itself could, but not beyond.
    let namespace = sys::private_mounts::in_private_mounts(|| {
        let root = std::env::temp_dir().join(format!("berth-mounts-{}", std::process::id()));
        std::fs::create_dir_all(root.join("mount"))?;
        let small = small_file_system(&[("size", "2m")]);
        rustix::mount::move_mount(
            &small,
            c"",
            rustix::fs::CWD,
            root.join("mount"),
            rustix::mount::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
        let root = OwnedFd::from(std::fs::File::open(root)?);
        let into = |path: &str, archive: &[u8]| {
            put(root.as_fd(), path, archive, Placement::of_root(Overwrite::Anything))
                .map_err(|error| error.to_string())
        };
        let whole = Archive::new().file("f", &[7; (2 << 20) - (64 << 10)]).finish();
        let deep = Archive::new().file("mount/g", &[7; 1 << 20]).finish();
        let first = into("/mount", &whole).map(drop);
        let second = into("/", &deep).map(drop);
        Ok::<_, std::io::Error>((first, second))
    });
    let (first, second) = namespace.expect("a namespace").0.expect("mounts");
    assert_eq!(first, Ok(()));
    assert!(second.expect_err("full").contains("as much as is free"));
    std::fs::remove_dir_all(std::env::temp_dir().join(format!("berth-mounts-{}", std::process::id())))
        .expect("removed");
}
