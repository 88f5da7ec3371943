//! Lists of processors and memory nodes, in the form of cpuset(7).

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text is not a list of numbers and ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a list of numbers and ranges")]
pub struct CpuSetError(String);

/// A set of processors or of memory nodes, as ranges in the order in which they were given. Without any it is
/// not set: the container may use all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuSet(Vec<RangeInclusive<u32>>);

impl CpuSet {
    /// Whether nothing is chosen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its numbers, in the order in which they were given.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// Whether all of it is in `available`, as the kernel lists that: in ranges as long as they can be, so one of
    /// them holds each range whole.
    #[must_use]
    pub fn is_within(&self, available: &Self) -> bool {
        let holds = |known: &RangeInclusive<u32>, range: &RangeInclusive<u32>| {
            known.contains(range.start()) && known.contains(range.end())
        };
        self.0.iter().all(|range| available.0.iter().any(|known| holds(known, range)))
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    /// Parses `0-2,4`; an empty text chooses nothing, one of commas alone is malformed.
    fn from_str(text: &str) -> Result<Self, CpuSetError> {
        let malformed = || CpuSetError(text.to_owned());
        if text.is_empty() {
            return Ok(Self::default());
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges = parts.map(range).collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
        if ranges.is_empty() { Err(malformed()) } else { Ok(Self(ranges)) }
    }
}

fn range(part: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for CpuSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (only, last) if only == last => write!(formatter, "{comma}{only}")?,
                (first, last) => write!(formatter, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuSetError;
    fn try_from(text: String) -> Result<Self, CpuSetError> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(text: &str) -> Option<String> {
        text.parse::<CpuSet>().ok().map(|set| set.to_string())
    }

    #[test]
    fn lists_are_numbers_and_ranges_between_commas() {
        for (text, want) in
            [("", ""), ("0-2,4", "0-2,4"), ("1,0", "1,0"), ("0,,1", "0,1"), (" 3-3 , 07", "3,7")]
        {
            assert_eq!(usual(text).as_deref(), Some(want), "{text}");
        }
        for bad in [",", " ", "a", "0-", "-1", "2-1", "0-1-2", "+1", "99999999999"] {
            assert_eq!(usual(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_set_is_within_ranges_that_hold_its_own() {
        let set = |text: &str| text.parse::<CpuSet>().expect(text);
        let available = set("0-1,4-7");
        for (text, want) in [("", true), ("0-1", true), ("5,0", true), ("1-4", false), ("8", false)] {
            assert_eq!(set(text).is_within(&available), want, "{text}");
        }
    }
}
