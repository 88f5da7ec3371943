//! The root file system of a small system whose every program is busybox.

use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::FirstImageError;

/// The image's config.
pub(super) const CHANGES: [&str; 2] =
    ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CMD [\"sh\"]"];

/// Directories and their modes.
const DIRECTORIES: [(&str, u32); 13] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];

/// Files and their content.
const FILES: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/shadow", "root:*:::::::\nnobody:*:::::::\n"),
];

/// The files, in a directory that is removed with this value.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    /// Makes the files.
    pub(super) fn make(program: &Path) -> Result<Self, FirstImageError> {
        let names = applets(program)
            .map_err(|source| FirstImageError::Program { program: program.to_owned(), source })?;
        let path = std::env::temp_dir().join(format!("berth-busybox-{}", std::process::id()));
        let failed = |source| FirstImageError::File { act: "make", path: path.clone(), source };
        std::fs::create_dir(&path).map_err(failed)?;
        let tree = Self(path.clone());
        tree.fill(program, &names).map_err(failed)?;
        Ok(tree)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn fill(&self, program: &Path, names: &[String]) -> io::Result<()> {
        let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode));
        mode(&self.0, 0o755)?;
        for (name, bits) in DIRECTORIES {
            std::fs::create_dir(self.0.join(name))?;
            mode(&self.0.join(name), bits)?;
        }
        for (name, content) in FILES {
            std::fs::write(self.0.join(name), content)?;
            mode(&self.0.join(name), if name == "etc/shadow" { 0o640 } else { 0o644 })?;
        }
        let own = self.0.join("bin/busybox");
        std::fs::copy(program, &own)?;
        mode(&own, 0o755)?;
        for name in names {
            symlink("busybox", self.0.join("bin").join(name))?;
        }
        symlink("../../bin/env", self.0.join("usr/bin/env"))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // It lies among other temporary files, which are cleaned up together.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The names under which the program answers.
fn applets(program: &Path) -> io::Result<Vec<String>> {
    let listed = Command::new(program).arg("--list").output()?;
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<String> =
        names.lines().filter(|name| *name != "busybox" && !name.contains('/')).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(io::Error::other("it lists no programs"));
    }
    Ok(names)
}
