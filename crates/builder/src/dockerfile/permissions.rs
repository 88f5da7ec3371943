//! `--chmod`: permissions in octal digits, or as chmod(1) writes changes.

use super::DockerfileError;

/// The permissions of copied files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permissions {
    /// These bits.
    Bits(u32),
    /// Changes, one after the other.
    Changes(Vec<Change>),
}

/// One clause of a change: `go-w`, `a+X`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The bits of those that are meant: 0o700 for the user and so on.
    who: u32,
    operation: char,
    /// The permissions as three bits, read first.
    permissions: u32,
    /// `u`, `g` or `o` instead of them: those of these, by their place in a mode.
    copied: Option<u32>,
    /// `X`: execution if it is a directory, or executable for any class already.
    executes_some: bool,
    set_id: bool,
    sticky: bool,
}

impl Permissions {
    /// Parses the value of `--chmod`.
    ///
    /// # Errors
    /// [`DockerfileError::Permissions`].
    pub(crate) fn parse(text: &str) -> Result<Self, DockerfileError> {
        let invalid = || DockerfileError::Permissions(text.to_owned());
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(Self::Bits).ok_or_else(invalid);
        }
        let changes: Option<Vec<Vec<Change>>> = text.split(',').map(clause).collect();
        changes.map(|changes| Self::Changes(changes.concat())).ok_or_else(invalid)
    }

    /// The permissions that something of these permissions gets.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Changes(changes) => {
                changes.iter().fold(mode, |mode, change| change.apply(mode, is_directory))
            }
        }
    }
}

/// Parses `u=rw,go-x` between its commas: classes, and operations on them.
fn clause(text: &str) -> Option<Vec<Change>> {
    let start = text.find(['+', '-', '='])?;
    let (who, mut rest) = text.split_at(start);
    let who = who.chars().try_fold(0, |who, letter| {
        Some(
            who | match letter {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            },
        )
    })?;
    let who = if who == 0 { 0o777 } else { who };
    let mut changes = Vec::new();
    while let Some(operation) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
        changes.push(change(who, operation, &rest[1..end])?);
        rest = &rest[end..];
    }
    Some(changes)
}

fn change(who: u32, operation: char, letters: &str) -> Option<Change> {
    let mut change = Change {
        who,
        operation,
        permissions: 0,
        copied: None,
        executes_some: false,
        set_id: false,
        sticky: false,
    };
    for letter in letters.chars() {
        match letter {
            'u' | 'g' | 'o' if letters.len() > 1 => return None,
            'u' => change.copied = Some(6),
            'g' => change.copied = Some(3),
            'o' => change.copied = Some(0),
            'r' => change.permissions |= 4,
            'w' => change.permissions |= 2,
            'x' => change.permissions |= 1,
            'X' => change.executes_some = true,
            's' => change.set_id = true,
            't' => change.sticky = true,
            _ => return None,
        }
    }
    Some(change)
}

impl Change {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let executes = self.executes_some && (is_directory || mode & 0o111 != 0);
        let copied = self.copied.map_or(0, |place| mode >> place & 0o7);
        let permissions = self.permissions | copied | u32::from(executes);
        let set_ids = [(0o700, 0o4000), (0o070, 0o2000)];
        let set_ids: u32 = set_ids.iter().filter(|(who, _)| self.who & who != 0).map(|(_, bit)| bit).sum();
        let mut bits = (permissions * 0o111) & self.who;
        if self.set_id {
            bits |= set_ids;
        }
        if self.sticky {
            bits |= 0o1000;
        }
        match self.operation {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => (mode & !(self.who | set_ids)) | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_symbolic() {
        for (text, before, is_directory, want) in [
            ("755", 0o600, false, 0o755),
            ("0640", 0o777, true, 0o640),
            ("4711", 0, false, 0o4711),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("go-rwx", 0o777, false, 0o700),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("+t", 0o777, true, 0o1777),
            ("u=r+x", 0o200, false, 0o500),
            ("g=u", 0o640, false, 0o660),
            ("g=u,o-r", 0o754, false, 0o770),
            ("u=o", 0o751, false, 0o151),
            ("o+g", 0o640, true, 0o644),
            ("a-g", 0o775, true, 0o000),
        ] {
            let parsed = Permissions::parse(text).expect(text);
            assert_eq!(parsed.apply(before, is_directory), want, "{text}");
        }
        for bad in ["", "8", "77777", "u", "z+x", "u+q", "0x1", "g=ur", "g=uo", "u=rw,"] {
            assert!(Permissions::parse(bad).is_err(), "{bad}");
        }
    }
}
