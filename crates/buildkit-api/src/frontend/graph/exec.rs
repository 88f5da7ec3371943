//! Commands of a graph as RUN.

use std::fmt::Write as _;

use serde_json::Value;

use super::decode::Node;
use super::text::{Text, stage};
use super::words::{literal, plain, quoted};
use crate::grpc::Status;
use buildkit_messages::exec_operation::{Exec, Mount, MountKind, Process, ProvisionOptions};

/// Writes a command; returns nothing but errors back.
///
/// # Errors
/// `Unimplemented` naming what has no equal, `InvalidArgument` for what is no command.
pub(super) fn write(text: &mut Text, node: &Node, exec: &Exec) -> Result<(), Status> {
    let process = exec.process.as_ref().filter(|process| !process.arguments.is_empty());
    let process = process.ok_or_else(|| Status::invalid("an exec of a build graph has no command"))?;
    check(exec, process)?;
    let is_root = |mount: &&Mount| mount.destination == "/" && mount.kind() == MountKind::Bind;
    let root =
        exec.mounts.iter().find(is_root).ok_or_else(|| Status::invalid("an exec has no mount at /"))?;
    if root.read_only || !matches!(root.selector.as_str(), "" | "/") {
        return Err(refuse("a root that is read-only or part of a tree"));
    }
    text.from(input(node, root.input)?);
    for variable in &process.environment {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        let is_name =
            !name.is_empty() && name.chars().all(|one| one.is_ascii_alphanumeric() || "_.-".contains(one));
        if !is_name {
            return Err(Status::invalid(format!("{name:?} is no name of a variable")));
        }
        text.line(&format!("ENV {name}={}", quoted(value)?));
    }
    if !process.user.is_empty() {
        text.line(&format!("USER {}", plain(&process.user)?));
    }
    if !process.directory.starts_with('/') {
        let text =
            format!("the directory {:?} of an exec of a build graph is not absolute", process.directory);
        return Err(Status::invalid(text));
    }
    if process.directory != "/" {
        text.line(&format!("WORKDIR {}", literal(&process.directory)?));
    }
    let mut line = "RUN".to_owned();
    for mount in exec.mounts.iter().filter(|mount| !std::ptr::eq(*mount, root)) {
        let _ = write!(line, " --mount={}", self::mount(node, mount)?);
    }
    for secret in &exec.secret_variables {
        let (id, name) = (plain(&secret.id)?, plain(&secret.name)?);
        let _ = write!(line, " --mount=type=secret,id={id},env={name},required={}", !secret.optional);
    }
    match exec.network {
        0 => {}
        1 => line.push_str(" --network=host"),
        2 => line.push_str(" --network=none"),
        _ => return Err(refuse("a network of a kind that is not known")),
    }
    let _ = write!(line, " {}", Value::from(process.arguments.clone()));
    text.line(&line);
    Ok(())
}

fn check(exec: &Exec, process: &Process) -> Result<(), Status> {
    let has = [
        (exec.security != 0, "rights of the host (security)"),
        (!exec.devices.is_empty(), "devices"),
        (process.proxy.is_some(), "a proxy"),
        (!process.extra_hosts.is_empty(), "extra hosts"),
        (!process.hostname.is_empty(), "a host name"),
        (!process.limits.is_empty(), "limits"),
        (!process.cgroup_parent.is_empty(), "a parent cgroup"),
        (process.valid_exit_codes.iter().any(|code| *code != 0), "exit codes that are no failure"),
    ];
    has.into_iter().find(|(is_there, _)| *is_there).map_or(Ok(()), |(_, what)| Err(refuse(what)))
}

fn refuse(what: &str) -> Status {
    Status::unimplemented(format!("an exec of a build graph with {what} is not supported"))
}

/// The stage of an input; `None` for nothing.
fn input(node: &Node, index: i64) -> Result<Option<usize>, Status> {
    if index < 0 {
        return Ok(None);
    }
    node.input(index).map(Some).ok_or_else(|| Status::invalid(format!("an exec has no input {index}")))
}

fn mount(node: &Node, mount: &Mount) -> Result<String, Status> {
    let target = plain(&mount.destination)?;
    let input = input(node, mount.input)?;
    let from = input
        .map(|number| format!(",from={},source=/{}", stage(number), mount.selector.trim_start_matches('/')));
    plain(&mount.selector)?;
    match mount.kind() {
        MountKind::Bind => {
            if mount.output >= 0 {
                return Err(refuse("a second result"));
            }
            let from = from.ok_or_else(|| refuse("an empty directory as a mount"))?;
            let access = if mount.read_only { "ro" } else { "rw" };
            Ok(format!("type=bind,target={target}{from},{access}"))
        }
        MountKind::Cache => {
            let options = mount.cache.clone().unwrap_or_default();
            let id = plain(if options.id.is_empty() { &mount.destination } else { &options.id })?;
            let sharing = match options.sharing {
                0 => "shared",
                1 => "private",
                2 => "locked",
                _ => return Err(refuse("a cache that is shared in a way that is not known")),
            };
            let access = if mount.read_only { ",ro" } else { "" };
            Ok(format!(
                "type=cache,target={target},id={id},sharing={sharing}{}{access}",
                from.unwrap_or_default()
            ))
        }
        MountKind::Memory => {
            let size = mount.memory.map_or(0, |options| options.size);
            let size = if size > 0 { format!(",size={size}") } else { String::new() };
            Ok(format!("type=tmpfs,target={target}{size}"))
        }
        MountKind::Secret => provision("secret", target, mount.secret.as_ref()),
        MountKind::Ssh => provision("ssh", target, mount.ssh.as_ref()),
    }
}

fn provision(kind: &str, target: &str, options: Option<&ProvisionOptions>) -> Result<String, Status> {
    let options = options.cloned().unwrap_or_default();
    let id = plain(&options.id)?;
    let id = if id.is_empty() { String::new() } else { format!(",id={id}") };
    let ProvisionOptions { user, group, mode, optional, .. } = options;
    let mode = if mode == 0 { String::new() } else { format!(",mode={mode:04o}") };
    Ok(format!("type={kind},target={target}{id},uid={user},gid={group}{mode},required={}", !optional))
}
