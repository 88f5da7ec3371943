//! Processors or memory nodes, in the form of cpuset(7): `0-2,4`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A set of processors or of memory nodes; empty where none were chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuSet(Vec<RangeInclusive<u32>>);

/// A text is no list of numbers and ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no list of numbers and ranges")]
pub struct CpuSetError(pub String);

impl CpuSet {
    /// Whether none were chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of these are among others, whose ranges are as long as they can be, as the kernel writes them.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        let holds = |range: &RangeInclusive<u32>| {
            others.0.iter().any(|other| other.contains(range.start()) && other.contains(range.end()))
        };
        self.0.iter().all(holds)
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    /// Parses numbers and ranges between commas; nothing is the empty set.
    fn from_str(text: &str) -> Result<Self, CpuSetError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let malformed = || CpuSetError(text.to_owned());
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(first..=last)
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges: Vec<_> = parts.map(range).collect::<Option<_>>().ok_or_else(malformed)?;
        if ranges.is_empty() { Err(malformed()) } else { Ok(Self(ranges)) }
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for CpuSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(formatter, "{first}")?,
                (first, last) => write!(formatter, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> CpuSet {
        text.parse().expect(text)
    }

    #[test]
    fn lists_are_written_as_the_kernel_reads_them() {
        for (text, written) in
            [("0-2,4", "0-2,4"), ("1,0", "1,0"), ("0,,1", "0,1"), (" 3-3 ,5", "3,5"), ("", "")]
        {
            assert_eq!(set(text).to_string(), written, "{text:?}");
        }
        for bad in [",", " ", "a", "0-", "-1", "2-1", "0-1-2", "+1", "99999999999"] {
            assert_eq!(bad.parse::<CpuSet>(), Err(CpuSetError(bad.to_owned())), "{bad:?}");
        }
        assert!(set("").is_empty() && !set("0").is_empty());
    }

    #[test]
    fn what_is_not_there_is_not_within() {
        let available = set("0-1,4-7");
        assert!(set("0-1").is_within(&available) && set("5").is_within(&available));
        assert!(!set("1-4").is_within(&available) && !set("8").is_within(&available));
    }
}
