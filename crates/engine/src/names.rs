//! Names of containers: what is allowed, and generated names where none is given.

use crate::error::Error;

/// Bytes of the longest name: as long as a file's.
const LONGEST_NAME: usize = 255;

const LEFT: [&str; 64] = [
    "able", "amber", "awake", "bold", "brave", "brisk", "calm", "candid", "clever", "crisp", "daring",
    "deft", "eager", "early", "fair", "famous", "fleet", "fond", "frank", "gentle", "glad", "golden",
    "grand", "happy", "hardy", "honest", "humble", "ideal", "jolly", "keen", "kind", "lively", "loyal",
    "lucid", "mellow", "merry", "mighty", "modest", "neat", "nimble", "noble", "patient", "placid", "plucky",
    "polite", "proud", "quick", "quiet", "ready", "robust", "royal", "serene", "sharp", "smart", "snug",
    "solid", "steady", "sturdy", "subtle", "sunny", "swift", "tidy", "vivid", "witty",
];

const RIGHT: [&str; 64] = [
    "anchor",
    "bay",
    "beacon",
    "bollard",
    "boom",
    "bow",
    "bridge",
    "buoy",
    "cape",
    "captain",
    "cargo",
    "channel",
    "coast",
    "compass",
    "coral",
    "cove",
    "crane",
    "current",
    "deck",
    "delta",
    "dinghy",
    "dock",
    "drift",
    "ferry",
    "fjord",
    "galley",
    "gull",
    "harbour",
    "haven",
    "helm",
    "hull",
    "island",
    "jetty",
    "keel",
    "ketch",
    "lagoon",
    "lantern",
    "ledge",
    "lighthouse",
    "mast",
    "mooring",
    "oar",
    "ocean",
    "pier",
    "pilot",
    "port",
    "quay",
    "reef",
    "rigging",
    "rudder",
    "sail",
    "schooner",
    "shoal",
    "shore",
    "skiff",
    "sloop",
    "spar",
    "strait",
    "tern",
    "tide",
    "tiller",
    "wake",
    "wharf",
    "yawl",
];

/// Checks a name that a client gives, with or without its leading slash.
///
/// # Errors
/// [`Error::InvalidName`] with the name as it was given; [`Error::UnusableText`] when it is too long.
pub(crate) fn check(given: &str) -> Result<String, Error> {
    let name = given.strip_prefix('/').unwrap_or(given);
    if name.len() > LONGEST_NAME {
        return Err(Error::UnusableText(format!(
            "Invalid container name: it has {} bytes, {LONGEST_NAME} are allowed",
            name.len()
        )));
    }
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut rest = bytes.peekable();
    if first
        && rest.peek().is_some()
        && rest.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    {
        Ok(name.to_owned())
    } else {
        Err(Error::InvalidName(given.to_owned()))
    }
}

/// Generates a name that `is_free` accepts.
pub(crate) fn generate(random: impl Fn() -> u32, is_free: impl Fn(&str) -> bool) -> String {
    let pick = |words: &[&'static str; 64], bits: u32| words[(bits & 63) as usize];
    let mut attempt = 0;
    loop {
        let bits = random();
        let mut name = format!("{}_{}", pick(&LEFT, bits), pick(&RIGHT, bits >> 6));
        if attempt > 0 {
            name.push_str(&(bits >> 12 & 0xfff).to_string());
        }
        if is_free(&name) {
            return name;
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_characters() {
        assert_eq!(check("/web-1.2_x").expect("allowed"), "web-1.2_x");
        for bad in ["", "/", "a", "-a", ".a", "_a", "a b", "a/b", "//a", "/a/b", "é", "a:b", "0"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"a".repeat(255)).is_ok() && check(&"a".repeat(256)).is_err());
    }

    #[test]
    fn a_taken_name_is_not_generated() {
        let count = std::cell::Cell::new(0_u32);
        let random = || {
            count.set(count.get() + 1);
            count.get() << 12
        };
        assert_eq!(generate(random, |name| name != "able_anchor"), "able_anchor2");
    }
}
