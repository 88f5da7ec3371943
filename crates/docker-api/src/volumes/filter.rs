//! Which volumes a list or a prune means: filters of different names must all fit, of one name any value.

use engine::{Volume, pattern};

use crate::filters::{Filters, has_label};
use crate::version::ApiVersion;

/// The filters of a list.
pub(super) struct VolumeFilter {
    filters: Filters,
    names: Vec<regex_lite::Regex>,
    dangling: Option<bool>,
}

impl VolumeFilter {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A filter or a value that there is not.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let filters = Filters::parse_known(text, &["dangling", "driver", "label", "name"])?;
        let dangling = filters.truth("dangling")?;
        let names = pattern::alternatives(filters.values("name"))?;
        Ok(Self { filters, names, dangling })
    }

    /// Whether a volume matches; `is_used` returns whether containers use it.
    pub(super) fn fits(&self, volume: &Volume, is_used: impl Fn(&str) -> bool) -> bool {
        let name = volume.name.as_str();
        let (named, drivers) = (self.filters.values("name"), self.filters.values("driver"));
        (named.is_empty()
            || named.iter().any(|part| name.contains(part.as_str()))
            || self.names.iter().any(|pattern| pattern.is_match(name)))
            && (drivers.is_empty() || drivers.iter().any(|wanted| wanted == volume.driver.name()))
            && self.filters.values("label").iter().all(|label| has_label(&volume.labels, label))
            && self.dangling.is_none_or(|wanted| wanted != is_used(name))
    }
}

/// The filters of a prune.
pub(super) struct PruneFilter {
    filters: Filters,
    anonymous_only: bool,
}

impl PruneFilter {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A filter or a value that there is not.
    pub(super) fn parse(text: &str, version: ApiVersion) -> Result<Self, String> {
        let filters = Filters::parse_known(text, &["all", "label", "label!"])?;
        let all = filters.truth("all")?.unwrap_or(false);
        Ok(Self { filters, anonymous_only: version.prune_spares_named_volumes() && !all })
    }

    /// Whether a volume is meant.
    pub(super) fn fits(&self, volume: &Volume) -> bool {
        (volume.is_anonymous() || !self.anonymous_only)
            && self.filters.values("label").iter().all(|label| has_label(&volume.labels, label))
            && !self.filters.values("label!").iter().any(|label| has_label(&volume.labels, label))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use model::{Timestamp, VolumeDriverKind};

    use super::*;

    fn volume(name: &str, labels: &[&str]) -> Volume {
        Volume {
            name: name.to_owned(),
            driver: VolumeDriverKind::Local,
            options: [].into(),
            labels: labels.iter().map(|label| ((*label).to_owned(), "web".to_owned())).collect(),
            created: Timestamp::now(),
            content: PathBuf::new(),
        }
    }

    #[test]
    fn volumes_are_chosen_by_what_they_are() {
        let volume = volume("own-data", &["tier"]);
        let fits = |text: &str| VolumeFilter::parse(text).expect(text).fits(&volume, |_| false);
        for yes in [
            "",
            r#"{"name":["n-d"]}"#,
            r#"{"name":["^own","x"],"driver":["local"]}"#,
            r#"{"label":["tier","tier=web"]}"#,
            r#"{"dangling":["1"]}"#,
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            r#"{"name":["^data"]}"#,
            r#"{"driver":["loc"]}"#,
            r#"{"label":["tier","tier=db"]}"#,
            r#"{"dangling":["false"]}"#,
        ] {
            assert!(!fits(no), "{no}");
        }
        for bad in [r#"{"foo":["x"]}"#, r#"{"dangling":["maybe"]}"#, r#"{"label!":["x"]}"#, "["] {
            assert!(VolumeFilter::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prune_spares_named_volumes_unless_it_means_all() {
        let (named, made_up) = (volume("own", &["tier"]), volume("f00", &[engine::ANONYMOUS_LABEL, "tier"]));
        let fits = |text: &str, minor: u32| {
            let filter = PruneFilter::parse(text, ApiVersion::minor(minor)).expect(text);
            [filter.fits(&named), filter.fits(&made_up)]
        };
        assert_eq!(fits("", 42), [false, true]);
        assert_eq!(fits("", 41), [true, true]);
        assert_eq!(fits(r#"{"all":["1"]}"#, 42), [true, true]);
        assert_eq!(fits(r#"{"all":["false"]}"#, 42), [false, true]);
        assert_eq!(fits(r#"{"all":["1"],"label!":["tier=web"]}"#, 42), [false, false]);
        assert_eq!(fits(r#"{"all":["1"],"label":["tier=db"]}"#, 42), [false, false]);
        for bad in [r#"{"until":["1h"]}"#, r#"{"all":["1","0"]}"#, r#"{"all":["maybe"]}"#] {
            assert!(PruneFilter::parse(bad, ApiVersion::minor(42)).is_err(), "{bad}");
        }
    }
}
