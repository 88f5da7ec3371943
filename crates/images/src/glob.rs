//! Patterns as Go's `path.Match` documents them, for names of repositories.

/// Whether a name matches: `*` any run but `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` one
/// of or none of a set, `\` takes the next character as it is. A malformed pattern matches nothing.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut read) = (0, 0);
    // Where to go on when the last star has to take one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match step(&pattern, at, name.get(read).copied()) {
            Step::Star => {
                retry = Some((at + 1, read));
                at += 1;
                continue;
            }
            Step::One(next) => {
                (at, read) = (next, read + 1);
                continue;
            }
            Step::End if read == name.len() => return true,
            Step::Malformed => return false,
            Step::End | Step::Differs => {}
        }
        match retry {
            Some((after, from)) if name.get(from).is_some_and(|character| *character != '/') => {
                retry = Some((after, from + 1));
                (at, read) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

enum Step {
    Star,
    One(usize),
    End,
    Differs,
    Malformed,
}

fn step(pattern: &[char], at: usize, character: Option<char>) -> Step {
    let one = |matched: bool, next: usize| if matched { Step::One(next) } else { Step::Differs };
    match pattern.get(at) {
        None => Step::End,
        Some('*') => Step::Star,
        Some('?') => one(character.is_some_and(|character| character != '/'), at + 1),
        Some('[') => match class(pattern, at + 1, character) {
            Some((matched, next)) => one(matched, next),
            None => Step::Malformed,
        },
        Some('\\') => match pattern.get(at + 1) {
            Some(escaped) => one(character == Some(*escaped), at + 2),
            None => Step::Malformed,
        },
        Some(literal) => one(character == Some(*literal), at + 1),
    }
}

/// Reads a set behind its `[`: whether it matches, and where it ends.
fn class(pattern: &[char], mut at: usize, character: Option<char>) -> Option<(bool, usize)> {
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let (mut found, mut first) = (false, true);
    loop {
        if pattern.get(at)? == &']' && !first {
            break;
        }
        first = false;
        let (low, next) = member(pattern, at)?;
        let (high, next) =
            if pattern.get(next) == Some(&'-') { member(pattern, next + 1)? } else { (low, next) };
        found |= character.is_some_and(|character| low <= character && character <= high);
        at = next;
    }
    Some((character.is_some_and(|character| character != '/' && found != negated), at + 1))
}

fn member(pattern: &[char], at: usize) -> Option<(char, usize)> {
    match pattern.get(at)? {
        '\\' => Some((*pattern.get(at + 1)?, at + 2)),
        ']' | '-' => None,
        character => Some((*character, at + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("app", "app"),
            ("a*", "app"),
            ("*", "busybox"),
            ("bu?ybox", "busybox"),
            ("127.0.0.1:5000/*/app", "127.0.0.1:5000/x/app"),
            ("*a*b*c", "xxaxxbxxbc"),
            ("ap[a-q]", "app"),
            ("[^x]pp", "app"),
            ("a\\*", "a*"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", "a/b"),
            ("app", "apps"),
            ("APP", "app"),
            ("[", "["),
            ("a[", "ab"),
            ("[x]pp", "app"),
            ("a?", "a/"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
