//! The effect of a container's security options on this host: seccomp, no-new-privileges, AppArmor and SELinux
//! labels.

use std::path::Path;

use model::{HostSettings, LabelOption, SeccompPolicy, SecurityOption};

use crate::error::Error;

/// A container's security options, merged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    /// The filter, where one is named.
    pub(crate) seccomp: Option<SeccompPolicy>,
    /// Whether execve can never give more rights.
    pub(crate) no_new_privileges: bool,
    /// Whether no path is hidden or made read-only.
    pub(crate) unconfined_paths: bool,
    /// The AppArmor profile, on hosts that have AppArmor.
    pub(crate) apparmor: Option<String>,
    /// The SELinux process label, on hosts that have SELinux.
    pub(crate) selinux_label: Option<String>,
}

impl SecurityOptions {
    /// Merges all options.
    ///
    /// # Errors
    /// Refused when one requires what this host lacks.
    pub(crate) fn of(host: &HostSettings) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut label = Vec::new();
        for option in host.security_options.iter().flatten() {
            match &**option {
                SecurityOption::Seccomp(policy) => options.seccomp = Some(policy.clone()),
                SecurityOption::NoNewPrivileges(holds) => options.no_new_privileges = *holds,
                SecurityOption::AppArmor(profile) => options.apparmor = apparmor(profile.as_ref())?,
                SecurityOption::Label(part) => label.push(part),
                SecurityOption::UnconfinedSystemPaths => options.unconfined_paths = true,
            }
        }
        options.selinux_label = selinux(&label);
        Ok(options)
    }
}

fn apparmor(profile: Option<&String>) -> Result<Option<String>, Error> {
    match profile {
        Some(profile) if !Path::new("/sys/kernel/security/apparmor/profiles").exists() => Err(
            Error::refused(format!("cannot use the AppArmor profile {profile}: this host has no AppArmor")),
        ),
        profile => Ok(profile.cloned()),
    }
}

/// The warning for labels that nothing enforces.
pub(crate) fn label_warning(host: &HostSettings) -> Option<String> {
    let options = host.security_options.iter().flatten();
    let label: Vec<&LabelOption> = options
        .filter_map(|option| match &**option {
            SecurityOption::Label(part) => Some(part),
            _ => None,
        })
        .collect();
    let is_without_effect = asks_for_a_label(&label) && !host_has_selinux();
    is_without_effect
        .then(|| "This host has no SELinux: the labels of SecurityOpt have no effect.".to_owned())
}

fn asks_for_a_label(label: &[&LabelOption]) -> bool {
    !label.is_empty() && !label.contains(&&LabelOption::Disable)
}

fn host_has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// The process label; of each part the first counts.
fn selinux(label: &[&LabelOption]) -> Option<String> {
    if !asks_for_a_label(label) || !host_has_selinux() {
        return None;
    }
    let (mut user, mut role, mut kind, mut level) = ("system_u", "system_r", "container_t", "s0");
    for part in label.iter().rev() {
        match part {
            LabelOption::Disable => {}
            LabelOption::User(text) => user = text,
            LabelOption::Role(text) => role = text,
            LabelOption::Type(text) => kind = text,
            LabelOption::Level(text) => level = text,
        }
    }
    Some(format!("{user}:{role}:{kind}:{level}"))
}

#[cfg(test)]
mod tests {
    use model::Spelled;

    use super::*;

    #[test]
    fn options_are_put_together() {
        let entries = ["no-new-privileges", "seccomp:unconfined", "systempaths=unconfined", "label=disable"];
        let parsed = entries.map(|entry| Spelled::parse(entry).expect(entry));
        let host = HostSettings { security_options: Some(parsed.into()), ..HostSettings::default() };
        let options = SecurityOptions::of(&host).expect("nothing that the host lacks");
        let wanted = SecurityOptions {
            seccomp: Some(SeccompPolicy::Unconfined),
            no_new_privileges: true,
            unconfined_paths: true,
            ..SecurityOptions::default()
        };
        assert_eq!(options, wanted);
    }
}
