//! The privileges of a container's processes: capabilities, security options, devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DevicePermissions, SettingError, Spelled};
use crate::{DeviceRule, DeviceRuleKind, SeccompPolicy};

macro_rules! capabilities {
    ($($variant:ident = $name:literal,)+) => {
        /// A capability of Linux, in the kernel's order (capabilities(7)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        pub enum Capability {
            $($variant,)+
        }

        impl Capability {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name without `CAP_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

capabilities! {
    ChangeOwner = "CHOWN",
    DacOverride = "DAC_OVERRIDE",
    DacReadSearch = "DAC_READ_SEARCH",
    FileOwner = "FOWNER",
    FileSetId = "FSETID",
    Kill = "KILL",
    SetGid = "SETGID",
    SetUid = "SETUID",
    SetCapabilities = "SETPCAP",
    LinuxImmutable = "LINUX_IMMUTABLE",
    NetBindService = "NET_BIND_SERVICE",
    NetBroadcast = "NET_BROADCAST",
    NetAdmin = "NET_ADMIN",
    NetRaw = "NET_RAW",
    IpcLock = "IPC_LOCK",
    IpcOwner = "IPC_OWNER",
    SysModule = "SYS_MODULE",
    SysRawio = "SYS_RAWIO",
    SysChroot = "SYS_CHROOT",
    SysPtrace = "SYS_PTRACE",
    SysPacct = "SYS_PACCT",
    SysAdmin = "SYS_ADMIN",
    SysBoot = "SYS_BOOT",
    SysNice = "SYS_NICE",
    SysResource = "SYS_RESOURCE",
    SysTime = "SYS_TIME",
    SysTtyConfig = "SYS_TTY_CONFIG",
    MakeNode = "MKNOD",
    Lease = "LEASE",
    AuditWrite = "AUDIT_WRITE",
    AuditControl = "AUDIT_CONTROL",
    SetFileCapabilities = "SETFCAP",
    MacOverride = "MAC_OVERRIDE",
    MacAdmin = "MAC_ADMIN",
    Syslog = "SYSLOG",
    WakeAlarm = "WAKE_ALARM",
    BlockSuspend = "BLOCK_SUSPEND",
    AuditRead = "AUDIT_READ",
    Perfmon = "PERFMON",
    Bpf = "BPF",
    CheckpointRestore = "CHECKPOINT_RESTORE",
}

/// One capability, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapabilityChoice {
    /// `ALL`.
    All,
    /// A single one.
    One(Capability),
}

impl FromStr for CapabilityChoice {
    type Err = SettingError;

    /// Parses a name in any case, with or without `CAP_`.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" {
            return Ok(Self::All);
        }
        let known = Capability::ALL.iter().find(|known| known.name() == bare);
        known.map(|known| Self::One(*known)).ok_or_else(|| SettingError::Capability(text.to_owned()))
    }
}

impl fmt::Display for CapabilityChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "ALL",
            Self::One(capability) => capability.name(),
        })
    }
}

/// One entry of a container's security options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// The seccomp filter.
    Seccomp(SeccompPolicy),
    /// Whether execve can never give more rights.
    NoNewPrivileges(bool),
    /// The AppArmor profile; `None` is `unconfined`.
    AppArmor(Option<String>),
    /// A part of the SELinux label.
    Label(LabelOption),
    /// No path is hidden or made read-only.
    UnconfinedSystemPaths,
}

/// A part of a container's SELinux label.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the parts are SELinux's")]
pub enum LabelOption {
    /// No label at all.
    Disable,
    User(String),
    Role(String),
    Type(String),
    Level(String),
}

impl FromStr for SecurityOption {
    type Err = SettingError;

    /// Parses an entry, `key=value` as current clients write and `key:value` as old ones did.
    fn from_str(entry: &str) -> Result<Self, SettingError> {
        if entry == "no-new-privileges" {
            return Ok(Self::NoNewPrivileges(true));
        }
        let invalid = || SettingError::SecurityOption(entry.to_owned());
        let place = entry.find(['=', ':']).ok_or_else(invalid)?;
        let (key, value) = (&entry[..place], &entry[place + 1..]);
        match key {
            "seccomp" => seccomp(value).map(Self::Seccomp),
            "no-new-privileges" => value.parse().map(Self::NoNewPrivileges).map_err(|_| invalid()),
            "apparmor" => Ok(Self::AppArmor(Some(value.to_owned()).filter(|name| name != "unconfined"))),
            "label" => label(value).map(Self::Label),
            "systempaths" if value == "unconfined" => Ok(Self::UnconfinedSystemPaths),
            _ => Err(invalid()),
        }
    }
}

fn seccomp(value: &str) -> Result<SeccompPolicy, SettingError> {
    match value {
        "unconfined" => Ok(SeccompPolicy::Unconfined),
        "default" | "builtin" => Ok(SeccompPolicy::Default),
        profile => match serde_json::from_str::<serde_json::Value>(profile) {
            Ok(serde_json::Value::Object(_)) => Ok(SeccompPolicy::Profile(profile.to_owned())),
            Ok(_) | Err(_) => Err(SettingError::SeccompProfile(profile.to_owned())),
        },
    }
}

fn label(value: &str) -> Result<LabelOption, SettingError> {
    let (key, text) = value.split_once(':').unwrap_or((value, ""));
    match key {
        "disable" if value == "disable" => Ok(LabelOption::Disable),
        "user" => Ok(LabelOption::User(text.to_owned())),
        "role" => Ok(LabelOption::Role(text.to_owned())),
        "type" => Ok(LabelOption::Type(text.to_owned())),
        "level" => Ok(LabelOption::Level(text.to_owned())),
        _ => Err(SettingError::SecurityOption(format!("label:{value}"))),
    }
}

impl fmt::Display for SecurityOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seccomp(SeccompPolicy::Unconfined) => formatter.write_str("seccomp=unconfined"),
            Self::Seccomp(SeccompPolicy::Default) => formatter.write_str("seccomp=default"),
            Self::Seccomp(SeccompPolicy::Profile(profile)) => write!(formatter, "seccomp={profile}"),
            Self::NoNewPrivileges(true) => formatter.write_str("no-new-privileges"),
            Self::NoNewPrivileges(false) => formatter.write_str("no-new-privileges=false"),
            Self::AppArmor(None) => formatter.write_str("apparmor=unconfined"),
            Self::AppArmor(Some(profile)) => write!(formatter, "apparmor={profile}"),
            Self::Label(LabelOption::Disable) => formatter.write_str("label=disable"),
            Self::Label(LabelOption::User(text)) => write!(formatter, "label=user:{text}"),
            Self::Label(LabelOption::Role(text)) => write!(formatter, "label=role:{text}"),
            Self::Label(LabelOption::Type(text)) => write!(formatter, "label=type:{text}"),
            Self::Label(LabelOption::Level(text)) => write!(formatter, "label=level:{text}"),
            Self::UnconfinedSystemPaths => formatter.write_str("systempaths=unconfined"),
        }
    }
}

/// A device of the host that a container sees and may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// The node on the host, or a directory of nodes; looked up when the container starts.
    pub path_on_host: String,
    /// Where the container sees it; as on the host when empty.
    pub path_in_container: String,
    /// The container's access.
    pub permissions: Spelled<DevicePermissions>,
}

impl FromStr for DeviceRule {
    type Err = SettingError;

    /// Parses `c 1:3 rwm`, with `*` for any number.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        device_rule(text).ok_or_else(|| SettingError::DeviceRule(text.to_owned()))
    }
}

fn device_rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split_whitespace();
    let kind = DeviceRuleKind::of(words.next()?)?;
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let permissions = words.next()?.parse().ok()?;
    words.next().is_none().then_some(())?;
    Some(DeviceRule { kind, major: number(major)?, minor: number(minor)?, permissions })
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let (major, minor) = (number(self.major), number(self.minor));
        write!(formatter, "{} {major}:{minor} {}", self.kind.letter(), self.permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_in_any_case() {
        let admin = CapabilityChoice::One(Capability::NetAdmin);
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            let spelled = Spelled::<CapabilityChoice>::parse(text).expect(text);
            assert_eq!((*spelled, spelled.to_string().as_str()), (admin, text));
        }
        for bad in ["", "BOGUS", "CAP_"] {
            assert!(bad.parse::<CapabilityChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn security_options_with_both_separators() {
        for text in ["seccomp=unconfined", "seccomp:unconfined"] {
            assert_eq!(text.parse(), Ok(SecurityOption::Seccomp(SeccompPolicy::Unconfined)));
        }
        assert_eq!("no-new-privileges:false".parse(), Ok(SecurityOption::NoNewPrivileges(false)));
        for bad in ["", "bogus", "a:b", "no-new-privileges=maybe", "seccomp={", "label:foo:x"] {
            assert!(bad.parse::<SecurityOption>().is_err(), "{bad}");
        }
        let error = "bogus".parse::<SecurityOption>().expect_err("unknown");
        assert_eq!(error.to_string(), "Invalid --security-opt: \"bogus\"");
    }

    #[test]
    fn device_rules() {
        let rule: DeviceRule = "c 1:* rw".parse().expect("a rule");
        assert_eq!((rule.minor, rule.to_string().as_str()), (None, "c 1:* rw"));
        for bad in ["", "x 1:1 r", "c 1 r", "c 1:1 q", "c 1:1 r more"] {
            assert!(bad.parse::<DeviceRule>().is_err(), "{bad}");
        }
    }
}
