//! The texts of a container's settings: what no system call and no resolver file could take is refused
//! before anything is made.

use std::path::{Component, Path};

use model::{ContainerSettings, HostSettings, UtsMode, clean};

use crate::container::specification::full_hostname;
use crate::error::Error;

/// Bytes of the longest name that sethostname(2) and setdomainname(2) take.
const LONGEST_NAME: usize = 64;

/// Bytes of the longest name of the domain name system (RFC 1035, section 2.3.4), so of any word of resolv.conf.
const LONGEST_WORD: usize = 255;

/// Checks the texts of what runs.
///
/// # Errors
/// Refused, in the reference's words where it has some; [`Error::UnusableText`] for what no system call takes.
pub(crate) fn check(settings: &ContainerSettings) -> Result<(), Error> {
    if !settings.working_directory.is_empty() && !settings.working_directory.starts_with('/') {
        return Err(Error::refused(format!(
            "The working directory '{}' is invalid. It needs to be an absolute path.",
            settings.working_directory
        )));
    }
    check_name("hostname", &settings.hostname)?;
    check_name("domain name", &settings.domainname)?;
    check_user(&settings.user)?;
    without_nul("WorkingDir", &settings.working_directory)?;
    for variable in settings.environment.iter().flatten() {
        if variable.starts_with('=') {
            return Err(Error::refused(format!("invalid environment variable: {variable}")));
        }
        without_nul("Env", variable)?;
    }
    for (field, words) in [("Cmd", &settings.command), ("Entrypoint", &settings.entrypoint)] {
        words.iter().flatten().try_for_each(|word| without_nul(field, word))?;
    }
    Ok(())
}

/// Checks the texts of what a container gets of its host.
///
/// # Errors
/// Invalid, or [`Error::UnusableText`] where only this engine refuses it, with words that name the field.
pub(crate) fn check_host(host: &HostSettings) -> Result<(), Error> {
    for group in host.additional_groups.iter().flatten() {
        check_number(group)?;
        without_nul("GroupAdd", group)?;
    }
    host.dns.iter().flatten().try_for_each(|server| one_word("Dns", &server.to_string()))?;
    for (field, words) in [("DnsSearch", &host.dns_search), ("DnsOptions", &host.dns_options)] {
        words.iter().flatten().try_for_each(|word| one_word(field, word))?;
    }
    if let Some(parent) = &host.cgroup_parent {
        check_cgroup_parent(&parent.to_string())?;
    }
    for (field, paths) in [("MaskedPaths", &host.masked_paths), ("ReadonlyPaths", &host.read_only_paths)] {
        for path in paths.iter().flatten() {
            if !path.starts_with('/') {
                return Err(Error::refused(format!("{field}: \"{path}\" is not an absolute path")));
            }
            without_nul(field, path)?;
        }
    }
    Ok(())
}

/// Checks the name that a container's host has for itself, with its domain: the kernel keeps them as one.
///
/// # Errors
/// [`Error::UnusableText`] for one that is too long.
pub(crate) fn check_full_hostname(settings: &ContainerSettings) -> Result<(), Error> {
    if settings.host.uts_mode == UtsMode::Host {
        return Ok(());
    }
    check_name("hostname with its domain name", &full_hostname(settings))
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.len() > LONGEST_NAME {
        return Err(Error::UnusableText(format!(
            "invalid {what}: it has {} bytes, the kernel takes {LONGEST_NAME} at most",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::UnusableText(format!("invalid {what} {name:?}: it has control characters")));
    }
    Ok(())
}

/// A parent of `..` or `/` alone would put the container's group among those of the host.
fn check_cgroup_parent(parent: &str) -> Result<(), Error> {
    without_nul("CgroupParent", parent)?;
    let path = Path::new(parent);
    let climbs = path.components().any(|component| component == Component::ParentDir);
    if climbs || (!parent.is_empty() && clean(path) == Path::new("/")) {
        return Err(Error::UnusableText(format!(
            "invalid CgroupParent {parent:?}: it must name a group below the root, without \"..\""
        )));
    }
    Ok(())
}

/// Names are looked up in the container's own files at its start; numbers can be checked now.
fn check_user(user: &str) -> Result<(), Error> {
    without_nul("User", user)?;
    user.split(':').try_for_each(check_number)
}

fn check_number(text: &str) -> Result<(), Error> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_possible = text.parse::<u32>().is_ok_and(|number| i32::try_from(number).is_ok());
    if is_number && !is_possible {
        return Err(Error::refused("Uids and gids must be in range 0-2147483647"));
    }
    Ok(())
}

/// A word between blanks on a line of resolv.conf: more than one word would be another setting there. An
/// empty one counts as not given, as clients of that time send it.
fn one_word(field: &str, text: &str) -> Result<(), Error> {
    if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(Error::UnusableText(format!("{field}: {text:?} holds blanks or control characters")));
    }
    if text.contains(['#', ';']) {
        return Err(Error::UnusableText(format!("{field}: {text:?} holds a sign that begins a comment")));
    }
    if text.len() > LONGEST_WORD {
        return Err(Error::UnusableText(format!(
            "{field}: a word has {} bytes, {LONGEST_WORD} are allowed",
            text.len()
        )));
    }
    Ok(())
}

fn without_nul(field: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::UnusableText(format!("{field}: {text:?} holds a NUL byte")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_users_and_groups() {
        for good in ["", "app", "0", "2147483647", "1000:1000", "app:audio", "a-1"] {
            assert!(check_user(good).is_ok(), "{good}");
        }
        for bad in ["-1", "2147483648", "99999999999", "0:-5", "a\0b"] {
            assert!(check_user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cgroup_s_parent_is_below_the_root() {
        for good in ["", "berth", "/kubepods/pod1", "a/b", "system.slice", "/..a/b.."] {
            assert!(check_cgroup_parent(good).is_ok(), "{good}");
        }
        for bad in ["/", "//", ".", "..", "../..", "/a/..", "a/../b", "/./", "a\0b"] {
            assert!(check_cgroup_parent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_hosts() {
        assert!(check_name("hostname", &"a".repeat(64)).is_ok() && check_name("hostname", "a b").is_ok());
        for bad in ["a".repeat(65), "a\n10.0.0.1 evil".to_owned()] {
            assert!(check_name("hostname", &bad).is_err(), "{bad}");
        }
    }
}
