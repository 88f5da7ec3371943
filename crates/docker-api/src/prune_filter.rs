//! The filters of a prune of containers or networks: the age, and labels, required or excluded.

use std::collections::BTreeMap;

use model::Timestamp;

use crate::filters::{Filters, has_label};
use crate::wire::parse_until;

/// The filters of a prune.
pub(crate) struct PruneFilter {
    filters: Filters,
    until: Option<Timestamp>,
}

impl PruneFilter {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A filter or a value that there is not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let filters = Filters::parse_known(text, &["until", "label", "label!"])?;
        let until = match filters.values("until") {
            [] => None,
            [moment] => {
                Some(parse_until(moment).ok_or_else(|| format!("invalid filter: 'until'='{moment}'"))?)
            }
            _ => return Err("more than one until filter specified".to_owned()),
        };
        Ok(Self { filters, until })
    }

    /// Whether something with these labels, made then, is meant.
    pub(crate) fn fits(&self, labels: &BTreeMap<String, String>, created: Timestamp) -> bool {
        self.until.is_none_or(|until| created < until)
            && self.filters.values("label").iter().all(|label| has_label(labels, label))
            && !self.filters.values("label!").iter().any(|label| has_label(labels, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_age_choose() {
        let labels = [("tier".to_owned(), "web".to_owned())].into();
        let fits = |text: &str| PruneFilter::parse(text).expect(text).fits(&labels, Timestamp::now());
        for yes in
            ["", r#"{"label":["tier","tier=web"]}"#, r#"{"label!":["tier=db"],"until":["4102444800"]}"#]
        {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            r#"{"label":["tier","x"]}"#,
            r#"{"label!":["x","tier"]}"#,
            r#"{"until":["1"]}"#,
            r#"{"until":["1h"]}"#,
        ] {
            assert!(!fits(no), "{no}");
        }
        for (bad, words) in [
            (r#"{"dangling":["true"]}"#, "invalid filter 'dangling'"),
            (r#"{"until":["soon"]}"#, "invalid filter: 'until'='soon'"),
            (r#"{"until":["1h","2h"]}"#, "more than one until filter specified"),
        ] {
            assert_eq!(PruneFilter::parse(bad).err().as_deref(), Some(words));
        }
    }
}
