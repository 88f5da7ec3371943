//! The security context of a container: its user, its capabilities, its profiles and its namespaces.

use std::path::Path;

use model::{
    CapabilityChoice, ContainerReference, GroupsOfUser, HostSettings, IdMapping, IpcMode, LabelOption,
    NetworkMode, PidMode, SeccompPolicy, SecurityOption, Spelled,
};
use tonic::Status;

use super::refusal::{choice, unsupported};
use super::user_namespace;
use crate::status::invalid;
use crate::wire::security::{
    LinuxContainerSecurityContext, NamespaceMode, ProfileType, SELinuxOption, SupplementalGroupsPolicy,
};

/// Bytes of a profile; real ones are a tenth of it.
const PROFILE_LIMIT: u64 = 1 << 20;

/// The pod's settings for a container.
pub(crate) struct Pod<'a> {
    /// The sandbox's id.
    pub(crate) sandbox: &'a str,
    /// The sandbox's settings of the host.
    pub(crate) host: &'a HostSettings,
    /// How its users map to the host's; `None` for the same ids.
    pub(crate) user_namespace: Option<&'a IdMapping>,
}

/// The user, as `user[:group]`; empty is the image's.
pub(super) fn user(context: &LinuxContainerSecurityContext) -> Result<String, Status> {
    let group = context.run_as_group.as_ref().map(|group| group.value);
    let user = match (&context.run_as_user, context.run_as_username.as_str()) {
        (Some(uid), "") => uid.value.to_string(),
        (Some(_), _) => return Err(invalid("run_as_user and run_as_username cannot be given both")),
        (None, name) => name.to_owned(),
    };
    match group {
        None => Ok(user),
        Some(_) if user.is_empty() => Err(invalid("run_as_group is set without a user")),
        Some(group) => Ok(format!("{user}:{group}")),
    }
}

/// Puts the rest of the security context into a container's settings of the host.
pub(super) fn apply(
    context: &LinuxContainerSecurityContext,
    pod: &Pod<'_>,
    host: &mut HostSettings,
) -> Result<(), Status> {
    let capabilities = context.capabilities.clone().unwrap_or_default();
    if !capabilities.add_ambient_capabilities.is_empty() {
        return Err(unsupported("ambient capabilities"));
    }
    host.privileged = context.privileged;
    host.add_capabilities = Some(choices(&capabilities.add_capabilities)?);
    host.drop_capabilities = Some(choices(&capabilities.drop_capabilities)?);
    host.read_only_root = context.readonly_rootfs;
    host.additional_groups = Some(context.supplemental_groups.iter().map(i64::to_string).collect());
    host.groups_of_user = match context.supplemental_groups_policy() {
        SupplementalGroupsPolicy::Merge => GroupsOfUser::All,
        SupplementalGroupsPolicy::Strict => GroupsOfUser::None,
    };
    if !context.privileged {
        host.masked_paths = Some(context.masked_paths.clone());
        host.read_only_paths = Some(context.readonly_paths.clone());
    }
    let mut options = vec![SecurityOption::NoNewPrivileges(context.no_new_privs)];
    if !context.privileged {
        options.push(SecurityOption::Seccomp(seccomp(context)?));
    }
    options.extend(apparmor(context)?.map(|profile| SecurityOption::AppArmor(Some(profile))));
    options.extend(selinux(context.selinux_options.as_ref()));
    host.security_options = Some(options.into_iter().map(Spelled::from).collect());
    apply_namespaces(context, pod, host)
}

fn choices(names: &[String]) -> Result<Vec<Spelled<CapabilityChoice>>, Status> {
    names.iter().map(|name| choice("capabilities", name)).collect()
}

fn apply_namespaces(
    context: &LinuxContainerSecurityContext,
    pod: &Pod<'_>,
    host: &mut HostSettings,
) -> Result<(), Status> {
    let options = context.namespace_options.clone().unwrap_or_default();
    let sandbox = || ContainerReference(pod.sandbox.to_owned());
    // The network and IPC are the pod's, whatever a container requests.
    host.network_mode = NetworkMode::Container(sandbox());
    host.uts_mode = pod.host.uts_mode;
    host.ipc_mode = match pod.host.ipc_mode {
        IpcMode::Host => IpcMode::Host,
        _ => IpcMode::Container(sandbox()),
    };
    host.pid_mode = match options.pid() {
        NamespaceMode::Container => PidMode::Private,
        NamespaceMode::Node => PidMode::Host,
        NamespaceMode::Pod if pod.host.pid_mode == PidMode::Host => PidMode::Host,
        NamespaceMode::Pod => PidMode::Container(sandbox()),
        NamespaceMode::Target if options.target_id.is_empty() => {
            return Err(invalid("the container whose processes are to be seen is not named"));
        }
        NamespaceMode::Target => PidMode::Container(ContainerReference(options.target_id)),
    };
    let asked = options.userns_options.as_ref();
    user_namespace::check_container(asked, context.privileged, host, pod.user_namespace)
}

/// The filter; without a profile, no filter, as the interface defines it.
fn seccomp(context: &LinuxContainerSecurityContext) -> Result<SeccompPolicy, Status> {
    match &context.seccomp {
        Some(profile) => match profile.profile_type() {
            ProfileType::RuntimeDefault => Ok(SeccompPolicy::Default),
            ProfileType::Unconfined => Ok(SeccompPolicy::Unconfined),
            ProfileType::Localhost => localhost(&profile.localhost_ref),
        },
        None => match context.seccomp_profile_path.as_str() {
            "" | "unconfined" => Ok(SeccompPolicy::Unconfined),
            "runtime/default" | "docker/default" => Ok(SeccompPolicy::Default),
            path => match path.strip_prefix("localhost/") {
                Some(path) => localhost(path),
                None => Err(invalid(format!("{path:?} is no seccomp profile"))),
            },
        },
    }
}

/// Reads a profile of this host.
fn localhost(path: &str) -> Result<SeccompPolicy, Status> {
    let wrong = |reason: String| invalid(format!("the seccomp profile {path}: {reason}"));
    let bytes = engine::sys::bounded_read::read(Path::new(path), PROFILE_LIMIT);
    let bytes = bytes.map_err(|error| wrong(error.to_string()))?;
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(_)) => {
            Ok(SeccompPolicy::Profile(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Ok(_) => Err(wrong("it is no JSON object".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The AppArmor profile by its name; `None` for the runtime's default, as the engine's containers have it.
fn apparmor(context: &LinuxContainerSecurityContext) -> Result<Option<String>, Status> {
    let named = match &context.apparmor {
        Some(profile) => match profile.profile_type() {
            ProfileType::Localhost => profile.localhost_ref.as_str(),
            ProfileType::RuntimeDefault | ProfileType::Unconfined => return Ok(None),
        },
        None => match context.apparmor_profile.as_str() {
            "" | "unconfined" | "runtime/default" => return Ok(None),
            profile => profile,
        },
    };
    let name = named.strip_prefix("localhost/").unwrap_or(named);
    if name.is_empty() { Err(invalid("the AppArmor profile has no name")) } else { Ok(Some(name.to_owned())) }
}

/// The parts of an SELinux label, which have an effect where the host has SELinux.
fn selinux(options: Option<&SELinuxOption>) -> Vec<SecurityOption> {
    let Some(options) = options else { return Vec::new() };
    let parts = [
        LabelOption::User(options.user.clone()),
        LabelOption::Role(options.role.clone()),
        LabelOption::Type(options.r#type.clone()),
        LabelOption::Level(options.level.clone()),
    ];
    let is_given = |part: &LabelOption| match part {
        LabelOption::Disable => true,
        LabelOption::User(text)
        | LabelOption::Role(text)
        | LabelOption::Type(text)
        | LabelOption::Level(text) => !text.is_empty(),
    };
    parts.into_iter().filter(is_given).map(SecurityOption::Label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::security::{NamespaceOption, SecurityProfile};
    use crate::wire::value::Int64Value;

    fn context() -> LinuxContainerSecurityContext {
        LinuxContainerSecurityContext::default()
    }

    #[test]
    fn a_group_needs_a_user() {
        let value = |value| Some(Int64Value { value });
        let both =
            LinuxContainerSecurityContext { run_as_user: value(7), run_as_group: value(8), ..context() };
        assert_eq!(user(&both).expect("a user"), "7:8");
        let name = LinuxContainerSecurityContext { run_as_username: "app".to_owned(), ..context() };
        assert_eq!(user(&name).expect("a user"), "app");
        assert_eq!(user(&context()).expect("the image's"), "");
        assert!(user(&LinuxContainerSecurityContext { run_as_group: value(8), ..context() }).is_err());
    }

    #[test]
    fn profiles_are_taken_from_both_fields() {
        let profile = |profile_type: ProfileType| LinuxContainerSecurityContext {
            seccomp: Some(SecurityProfile {
                profile_type: profile_type.into(),
                localhost_ref: String::new(),
            }),
            ..context()
        };
        assert_eq!(seccomp(&context()).expect("none"), SeccompPolicy::Unconfined);
        assert_eq!(seccomp(&profile(ProfileType::RuntimeDefault)).expect("it"), SeccompPolicy::Default);
        assert!(seccomp(&profile(ProfileType::Localhost)).is_err(), "it has no name");
        let old =
            LinuxContainerSecurityContext { seccomp_profile_path: "docker/default".to_owned(), ..context() };
        assert_eq!(seccomp(&old).expect("it"), SeccompPolicy::Default);
    }

    #[test]
    fn a_profile_of_the_host_needs_a_name() {
        let of = |profile_type: ProfileType, name: &str| {
            let profile =
                SecurityProfile { profile_type: profile_type.into(), localhost_ref: name.to_owned() };
            apparmor(&LinuxContainerSecurityContext { apparmor: Some(profile), ..context() })
        };
        assert_eq!(of(ProfileType::Localhost, "mine").expect("a profile"), Some("mine".to_owned()));
        assert!(of(ProfileType::Localhost, "").is_err());
        assert_eq!(of(ProfileType::RuntimeDefault, "").expect("the default"), None);
    }

    #[test]
    fn namespaces_are_the_pods() {
        let sandbox = HostSettings { ipc_mode: IpcMode::Shareable, ..HostSettings::default() };
        let pod = Pod { sandbox: "abc", host: &sandbox, user_namespace: None };
        let mut host = HostSettings::default();
        apply(&context(), &pod, &mut host).expect("settings");
        let joined = || ContainerReference("abc".to_owned());
        assert_eq!(host.network_mode, NetworkMode::Container(joined()));
        assert_eq!(
            (host.ipc_mode.clone(), host.pid_mode.clone()),
            (IpcMode::Container(joined()), PidMode::Container(joined()))
        );
        let own = NamespaceOption { pid: NamespaceMode::Container.into(), ..NamespaceOption::default() };
        let context = LinuxContainerSecurityContext { namespace_options: Some(own), ..context() };
        apply(&context, &pod, &mut host).expect("settings");
        assert_eq!(host.pid_mode, PidMode::Private);
    }
}
