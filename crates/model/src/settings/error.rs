//! Texts that are not valid choices, with the messages that clients expect.

/// A text names none of the choices that a setting has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum SettingError {
    #[error("Invalid PID mode: {0}")]
    PidMode(String),
    #[error("Invalid IPC mode: {0}")]
    IpcMode(String),
    #[error("Invalid UTS mode: {0}")]
    UtsMode(String),
    #[error("invalid user namespace mode: {0}")]
    UserNamespaceMode(String),
    #[error("invalid cgroup namespace mode: {0}")]
    CgroupNamespaceMode(String),
    #[error("invalid restart policy {0}")]
    RestartPolicy(String),
    #[error("maximum retry count cannot be negative")]
    RetryCount(i64),
    #[error("invalid mode for volumes-from: {0}")]
    MountMode(String),
    #[error("Invalid volume specification: {0}")]
    Bind(String),
    #[error("Invalid volume specification: {0}: the destination must be an absolute path")]
    RelativeDestination(String),
    #[error("[8] System error: mounting into / is prohibited")]
    MountOnRoot,
    #[error("Unable to setup mount point, neither source nor volume defined")]
    NoMountSource,
    #[error(
        "\"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
    )]
    VolumeName(String),
    #[error("malformed volumes-from specification: ")]
    EmptyVolumesFrom,
    #[error("Prefix can't be empty")]
    EmptyReference,
    #[error("Invalid --security-opt: \"{0}\"")]
    SecurityOption(String),
    #[error("cannot read the seccomp profile: it is not a JSON object: {0}")]
    SeccompProfile(String),
    #[error("\"{0}\" is no capability")]
    Capability(String),
    #[error("invalid ulimit name {0}")]
    LimitName(String),
    #[error("invalid permissions \"{0}\", only r, w and m are known")]
    DevicePermissions(String),
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    #[error("empty string specified for links")]
    EmptyLink,
    #[error("bad format for links: {0}")]
    Link(String),
    #[error("bad format for add-host: {0:?}")]
    ExtraHost(String),
    #[error("invalid IP address in add-host: {0:?}")]
    ExtraAddress(String),
}
