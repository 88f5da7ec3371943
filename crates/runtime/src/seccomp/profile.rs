//! A profile in Docker's JSON form, as `--security-opt seccomp=FILE` sends it.

use serde::Deserialize;
use sys::execute::FilterFlags;

use super::numbers::Architecture;
use super::{Action, Comparison, Condition, Rule, Rules};
use crate::capabilities::{self, Mask};

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[error("Decoding seccomp profile failed: {}", model::json_words(.0))]
    Json(#[from] serde_json::Error),
    #[error("Decoding seccomp profile failed: unknown {what} {name:?}")]
    Unknown { what: &'static str, name: String },
    #[error("Decoding seccomp profile failed: the argument {0} of a call does not exist")]
    Argument(u8),
    #[error("Decoding seccomp profile failed: 'architectures' and 'archMap' exclude each other")]
    TwoLists,
    #[error("Decoding seccomp profile failed: 'name' and 'names' exclude each other")]
    TwoNames,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(default)]
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchitectureEntry>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureEntry {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Selection>,
    #[serde(default)]
    excludes: Option<Selection>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selection {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads a profile for a process with these capabilities.
pub(super) fn parse(json: &str, held: Mask) -> Result<Rules, ProfileError> {
    let profile: Profile = serde_json::from_str(json)?;
    let default_error = profile.default_errno_ret.unwrap_or(1);
    let default = action(&profile.default_action, default_error)?;
    let mut rules = Vec::new();
    for entry in profile.syscalls.as_deref().unwrap_or_default() {
        if applies(entry, held) {
            rules.extend(alternatives(rule(entry, default_error)?));
        }
    }
    // What repeats the default decides nothing, and does not hide a later rule either.
    rules.retain(|rule| rule.action != default);
    Ok(Rules {
        default,
        architectures: architectures(&profile)?,
        rules,
        flags: flags(profile.flags.as_deref().unwrap_or_default())?,
    })
}

fn applies(entry: &Entry, held: Mask) -> bool {
    let included = entry.includes.as_ref().is_none_or(|selection| {
        selection.caps.iter().flatten().all(|name| has(name, held))
            && selection.arches.as_ref().is_none_or(|arches| arches.is_empty() || names_this_machine(arches))
            && selection.min_kernel.as_ref().is_none_or(|version| is_kernel_at_least(version))
    });
    let excluded = entry.excludes.as_ref().is_some_and(|selection| {
        selection.caps.iter().flatten().any(|name| has(name, held))
            || selection.arches.as_ref().is_some_and(|arches| names_this_machine(arches))
            || selection.min_kernel.as_ref().is_some_and(|version| is_kernel_at_least(version))
    });
    included && !excluded
}

fn has(name: &str, held: Mask) -> bool {
    capabilities::NAMES.iter().position(|known| *known == name).is_some_and(|bit| held & 1 << bit != 0)
}

fn names_this_machine(arches: &[String]) -> bool {
    arches.iter().any(|name| matches!(name.as_str(), "amd64" | "x86_64"))
}

fn is_kernel_at_least(version: &str) -> bool {
    let numbers = |text: &str| {
        let mut parts = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    numbers(&release) >= numbers(version)
}

fn rule(entry: &Entry, default_error: u16) -> Result<Rule, ProfileError> {
    let names = match (&entry.names, entry.name.as_str()) {
        (Some(names), "") => names.clone(),
        (None, name) => vec![name.to_owned()],
        (Some(names), name) if names.is_empty() => vec![name.to_owned()],
        (Some(_), _) => return Err(ProfileError::TwoNames),
    };
    let conditions = entry.args.iter().flatten().map(condition).collect::<Result<Vec<_>, ProfileError>>()?;
    let error = entry.errno_ret.unwrap_or(default_error);
    Ok(Rule { names, action: action(&entry.action, error)?, conditions })
}

/// Conditions on several arguments must all hold; if two concern the same argument, each is a rule of its
/// own, as in all engines that read this form.
fn alternatives(rule: Rule) -> Vec<Rule> {
    let arguments = || rule.conditions.iter().map(|condition| condition.argument);
    if arguments().collect::<std::collections::BTreeSet<_>>().len() == rule.conditions.len() {
        return vec![rule];
    }
    let alone = |condition: &Condition| Rule { conditions: vec![*condition], ..rule.clone() };
    rule.conditions.iter().map(alone).collect()
}

fn condition(argument: &Argument) -> Result<Condition, ProfileError> {
    if argument.index > 5 {
        return Err(ProfileError::Argument(argument.index));
    }
    let (comparison, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Comparison::Equal, argument.value),
        "SCMP_CMP_NE" => (Comparison::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Comparison::Less, argument.value),
        "SCMP_CMP_LE" => (Comparison::LessOrEqual, argument.value),
        "SCMP_CMP_GT" => (Comparison::Greater, argument.value),
        "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, argument.value),
        "SCMP_CMP_MASKED_EQ" => (Comparison::MaskedEqual(argument.value), argument.value_two),
        name => return Err(ProfileError::Unknown { what: "comparison", name: name.to_owned() }),
    };
    Ok(Condition { argument: argument.index, comparison, value })
}

fn action(name: &str, error: u16) -> Result<Action, ProfileError> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::ALLOW,
        "SCMP_ACT_ERRNO" => Action::error(error),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => Action::KILL_PROCESS,
        "SCMP_ACT_TRAP" => Action::TRAP,
        "SCMP_ACT_TRACE" => Action::trace(error),
        "SCMP_ACT_LOG" => Action::LOG,
        name => return Err(ProfileError::Unknown { what: "action", name: name.to_owned() }),
    })
}

/// Those of other machines are left out; a list that names none means this machine's alone.
fn architectures(profile: &Profile) -> Result<Vec<Architecture>, ProfileError> {
    let list = profile.architectures.as_ref().filter(|list| !list.is_empty());
    let map = profile.arch_map.as_ref().filter(|map| !map.is_empty());
    let names: Vec<&str> = match (list, map) {
        (Some(_), Some(_)) => return Err(ProfileError::TwoLists),
        (Some(list), None) => list.iter().map(String::as_str).collect(),
        (None, Some(map)) => map
            .iter()
            .filter(|entry| entry.architecture == "SCMP_ARCH_X86_64")
            .flat_map(|entry| entry.sub_architectures.iter().flatten().map(String::as_str))
            .collect(),
        (None, None) => Vec::new(),
    };
    let mut found = vec![Architecture::X86_64];
    for name in names {
        match name {
            "SCMP_ARCH_X86" => found.push(Architecture::X86),
            "SCMP_ARCH_X32" => found.push(Architecture::X32),
            name if name.starts_with("SCMP_ARCH_") => {}
            name => return Err(ProfileError::Unknown { what: "architecture", name: name.to_owned() }),
        }
    }
    found.dedup();
    Ok(found)
}

fn flags(names: &[String]) -> Result<FilterFlags, ProfileError> {
    let mut flags = FilterFlags::default();
    for name in names {
        match name.as_str() {
            "SECCOMP_FILTER_FLAG_LOG" => flags.log = true,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => flags.speculation_allowed = true,
            // The filter is installed where there is one thread only.
            "SECCOMP_FILTER_FLAG_TSYNC" => {}
            name => return Err(ProfileError::Unknown { what: "flag", name: name.to_owned() }),
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_and_both_spellings_of_names() {
        let json = r#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [
                {"name": "read", "action": "SCMP_ACT_ALLOW"},
                {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["umount2"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
                {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [
                    {"index": 0, "value": 7, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}
            ]}"#;
        let rules = parse(json, capabilities::SYS_ADMIN).expect("a profile");
        let names: Vec<&str> = rules.rules.iter().map(|rule| rule.names[0].as_str()).collect();
        assert_eq!(names, ["read", "mount", "clone"]);
        assert_eq!(rules.default, Action::error(38));
        assert_eq!(rules.rules[2].action, Action::error(13));
        assert_eq!(rules.rules[2].conditions[0].comparison, Comparison::MaskedEqual(7));
        assert_eq!(rules.architectures, [Architecture::X86_64, Architecture::X86]);
        let without = parse(json, 0).expect("a profile");
        assert_eq!(without.rules[1].names, ["umount2"]);
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives() {
        let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
                {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 17, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
                {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 3, "op": "SCMP_CMP_EQ"}]}
            ]}"#;
        let rules = parse(json, 0).expect("a profile").rules;
        let conditions: Vec<usize> = rules.iter().map(|rule| rule.conditions.len()).collect();
        assert_eq!(conditions, [1, 1, 2], "what repeats the default is left out");
    }

    #[test]
    fn bad_profiles_are_refused() {
        for json in [
            "",
            "{}",
            r#"{"defaultAction": "NOPE"}"#,
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#,
        ] {
            assert!(parse(json, 0).is_err(), "{json}");
        }
    }
}
