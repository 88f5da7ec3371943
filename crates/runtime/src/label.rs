//! Profiles and labels of security modules, where the host has them.

use std::path::Path;

use model::ContainerSpec;

use crate::{FailureKind, StartError};

/// The file of /proc/self/attr to write before execve and its content; `None` for no label.
pub(crate) type Label = Option<(&'static str, String)>;

/// Refuses what this host does not have; must be called while the host's /sys is in sight.
pub(crate) fn check(spec: &ContainerSpec) -> Result<(), StartError> {
    let refuse = |words: &str| Err(StartError::words(FailureKind::System, words));
    if wanted_profile(spec).is_some() && !is_present("/sys/module/apparmor/parameters/enabled", "Y") {
        return refuse("an AppArmor profile was asked for, but this host has no AppArmor");
    }
    if spec.selinux_label.is_some() && !Path::new("/sys/fs/selinux/enforce").exists() {
        return refuse("an SELinux label was asked for, but this host has no SELinux");
    }
    Ok(())
}

/// The label to be written.
pub(crate) fn choose(spec: &ContainerSpec) -> Label {
    if let Some(label) = &spec.selinux_label {
        return Some(("exec", label.clone()));
    }
    wanted_profile(spec).map(|profile| ("apparmor/exec", format!("exec {profile}")))
}

fn wanted_profile(spec: &ContainerSpec) -> Option<&str> {
    spec.apparmor_profile.as_deref().filter(|profile| !matches!(*profile, "" | "unconfined"))
}

fn is_present(path: &str, value: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
}
