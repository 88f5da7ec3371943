//! `SecurityOpt`: seccomp, no-new-privileges, AppArmor and SELinux labels.

use std::path::Path;

use model::SeccompPolicy;

use crate::error::Error;

/// What a container's `SecurityOpt` asks for.
#[derive(Debug, PartialEq, Eq)]
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
    /// Parses all entries, `key=value` as today's clients write and `key:value` as old ones did.
    ///
    /// # Errors
    /// Refused when an entry is unknown, or asks for what this host lacks.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, Error> {
        let mut options = Self {
            seccomp: None,
            no_new_privileges: false,
            unconfined_paths: false,
            apparmor: None,
            selinux_label: None,
        };
        let mut label = Vec::new();
        for entry in entries {
            let invalid = || Error::refused(format!("Invalid --security-opt: \"{entry}\""));
            if entry == "no-new-privileges" {
                options.no_new_privileges = true;
                continue;
            }
            let place = entry.find(['=', ':']).ok_or_else(invalid)?;
            let (key, value) = (&entry[..place], &entry[place + 1..]);
            match key {
                "seccomp" => options.seccomp = Some(seccomp(value)?),
                "no-new-privileges" => options.no_new_privileges = value.parse().map_err(|_| invalid())?,
                "apparmor" => options.apparmor = apparmor(value)?,
                "label" => label.push(value.to_owned()),
                "systempaths" if value == "unconfined" => options.unconfined_paths = true,
                _ => return Err(invalid()),
            }
        }
        options.selinux_label = selinux(&label)?;
        Ok(options)
    }
}

fn seccomp(value: &str) -> Result<SeccompPolicy, Error> {
    match value {
        "unconfined" => Ok(SeccompPolicy::Unconfined),
        "default" | "builtin" => Ok(SeccompPolicy::Default),
        profile => match serde_json::from_str::<serde_json::Value>(profile) {
            Ok(serde_json::Value::Object(_)) => Ok(SeccompPolicy::Profile(profile.to_owned())),
            Ok(_) | Err(_) => Err(Error::refused(format!(
                "cannot read the seccomp profile: it is not a JSON object: {profile}"
            ))),
        },
    }
}

fn apparmor(value: &str) -> Result<Option<String>, Error> {
    if value == "unconfined" {
        return Ok(None);
    }
    if Path::new("/sys/kernel/security/apparmor/profiles").exists() {
        return Ok(Some(value.to_owned()));
    }
    Err(Error::refused(format!("cannot use the AppArmor profile {value}: this host has no AppArmor")))
}

fn selinux(label: &[String]) -> Result<Option<String>, Error> {
    if label.is_empty() || label.iter().any(|part| part == "disable") {
        return Ok(None);
    }
    if let Some(bad) = label.iter().find(|part| {
        let key = part.split(':').next().unwrap_or_default();
        !matches!(key, "user" | "role" | "type" | "level")
    }) {
        return Err(Error::refused(format!("Invalid --security-opt: \"label:{bad}\"")));
    }
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        tracing::debug!("this host has no SELinux: labels have no effect");
        return Ok(None);
    }
    let part = |key: &str, default: &str| {
        label
            .iter()
            .find_map(|part| {
                part.split_once(':').filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
            })
            .unwrap_or_else(|| default.to_owned())
    };
    Ok(Some(format!(
        "{}:{}:{}:{}",
        part("user", "system_u"),
        part("role", "system_r"),
        part("type", "container_t"),
        part("level", "s0")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<SecurityOptions, Error> {
        SecurityOptions::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn both_separators() {
        for spelling in ["seccomp=unconfined", "seccomp:unconfined"] {
            assert_eq!(parse(&[spelling]).expect("known").seccomp, Some(SeccompPolicy::Unconfined));
        }
        assert!(parse(&["no-new-privileges"]).expect("known").no_new_privileges);
        assert!(!parse(&["no-new-privileges:false"]).expect("known").no_new_privileges);
    }

    #[test]
    fn unknown_entries_are_refused() {
        for bad in ["", "bogus", "a:b", "no-new-privileges=maybe", "seccomp={", "label:foo:x"] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }
}
