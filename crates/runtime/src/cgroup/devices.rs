//! Which device nodes a container may make, read and write: the devices cgroup on v1, a program
//! on v2.

use model::{ContainerSpec, DevicePermissions, DeviceRuleKind};
use rustix::fs::{Mode, OFlags};
use sys::device_program::{DeviceKind, Rule};

use super::{Cgroup, file};
use crate::CgroupError;
use crate::root::devices::DEFAULT_NODES;
use crate::root::host_devices::Node;

impl Cgroup {
    /// Allows the default devices, those that are shown and what the rules add; forbids the rest.
    pub(super) fn restrict_devices(&self, spec: &ContainerSpec, nodes: &[Node]) -> Result<(), CgroupError> {
        if spec.privileged {
            return Ok(());
        }
        let rules = rules(spec, nodes);
        if let Some(directory) = self.legacy("devices") {
            file::write(directory, "devices.deny", "a")?;
            return file::write_each(directory, "devices.allow", rules.iter().map(text));
        }
        let Some(directory) = self.unified() else { return Ok(()) };
        let act = || format!("restricting devices in {}", directory.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cgroup = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(|source| CgroupError::new(act(), source))?;
        sys::device_program::attach(&cgroup, &rules).map_err(|source| CgroupError::new(act(), source))
    }
}

fn rules(spec: &ContainerSpec, nodes: &[Node]) -> Vec<Rule> {
    let rule = |kind, major, minor, allowed: DevicePermissions| Rule {
        kind,
        major,
        minor,
        read: allowed.read,
        write: allowed.write,
        make: allowed.make_node,
    };
    let all = DevicePermissions::default();
    let making = DevicePermissions { read: false, write: false, make_node: true };
    let mut rules = vec![
        rule(DeviceKind::Character, None, None, making),
        rule(DeviceKind::Block, None, None, making),
        // The console, the multiplexer of terminals, and terminals.
        rule(DeviceKind::Character, Some(5), Some(1), all),
        rule(DeviceKind::Character, Some(5), Some(2), all),
        rule(DeviceKind::Character, Some(136), None, all),
    ];
    rules.extend(
        DEFAULT_NODES
            .iter()
            .map(|(_, major, minor)| rule(DeviceKind::Character, Some(*major), Some(*minor), all)),
    );
    for node in nodes {
        let kind = if node.is_block { DeviceKind::Block } else { DeviceKind::Character };
        rules.push(rule(kind, Some(node.major), Some(node.minor), node.permissions));
    }
    for extra in &spec.device_rules {
        let kinds: &[DeviceKind] = match extra.kind {
            DeviceRuleKind::All => &[DeviceKind::Character, DeviceKind::Block],
            DeviceRuleKind::Block => &[DeviceKind::Block],
            DeviceRuleKind::Character => &[DeviceKind::Character],
        };
        rules.extend(kinds.iter().map(|kind| rule(*kind, extra.major, extra.minor, extra.permissions)));
    }
    rules
}

/// A line of devices.allow.
fn text(rule: &Rule) -> String {
    let kind = match rule.kind {
        DeviceKind::Character => 'c',
        DeviceKind::Block => 'b',
    };
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    let letters = [(rule.read, 'r'), (rule.write, 'w'), (rule.make, 'm')];
    let permissions: String = letters.iter().filter(|(held, _)| *held).map(|(_, letter)| letter).collect();
    format!("{kind} {}:{} {permissions}", number(rule.major), number(rule.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_one_line() {
        let mut rule = Rule {
            kind: DeviceKind::Block,
            major: Some(8),
            minor: None,
            read: true,
            write: false,
            make: true,
        };
        assert_eq!(text(&rule), "b 8:* rm");
        rule.minor = Some(1);
        assert_eq!(text(&rule), "b 8:1 rm");
    }
}
