//! Names of slices and their places: each dash leads one level down, systemd.slice(5).

use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

/// How the name of a slice ends.
const SUFFIX: &str = ".slice";

/// Most bytes of a unit's name, systemd.unit(5).
const LONGEST: usize = 255;

/// A slice, by its name: `kubepods-burstable.slice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice(String);

impl Slice {
    /// Its name as a unit.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its cgroup beneath the root of cgroups: `kubepods.slice/kubepods-burstable.slice`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let levels = self.0.strip_suffix(SUFFIX).unwrap_or(&self.0);
        let ends = levels.match_indices('-').map(|(end, _)| end).chain([levels.len()]);
        ends.map(|end| format!("{}{SUFFIX}", &levels[..end])).collect()
    }
}

impl FromStr for Slice {
    type Err = Error;

    /// Accepts a name, or a path whose last part is one: a kubelet sends either. The rest of a path follows from the
    /// name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.rsplit('/').next().unwrap_or(text);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ":_.\\".contains(letter);
        let is_level = |level: &str| !level.is_empty() && level.chars().all(is_plain);
        let levels = name.strip_suffix(SUFFIX);
        match levels.filter(|levels| name.len() <= LONGEST && levels.split('-').all(is_level)) {
            Some(_) => Ok(Self(name.to_owned())),
            None => Err(Error::NotASlice(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_leads_one_level_down() {
        for (text, path) in [
            ("berth.slice", "berth.slice"),
            (
                "kubepods-burstable-pod1_2.slice",
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice",
            ),
            ("/kubepods.slice/kubepods-pod1.slice", "kubepods.slice/kubepods-pod1.slice"),
        ] {
            let slice: Slice = text.parse().expect("a slice");
            assert_eq!(slice.path(), PathBuf::from(path), "{text}");
        }
    }

    #[test]
    fn what_systemd_does_not_take_for_a_slice_is_refused() {
        let long = format!("{}.slice", "a".repeat(250));
        for text in
            ["", "/", "a", "/kubepods/pod1", "a.scope", ".slice", "-.slice", "a--b.slice", "a b.slice", &long]
        {
            assert!(text.parse::<Slice>().is_err(), "{text:?}");
        }
    }
}
