//! Which networks a list means: filters of different names must all fit, of one name any value.

use engine::{NetworkRecord, pattern};

use crate::filters::{Filters, has_label};

/// The filters of a list.
pub(super) struct NetworkFilter {
    filters: Filters,
    names: Vec<regex_lite::Regex>,
    dangling: Option<bool>,
}

impl NetworkFilter {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A filter or a value that there is not.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let known = ["driver", "type", "name", "id", "label", "scope", "dangling"];
        let filters = Filters::parse_known(text, &known)?;
        if let Some(other) =
            filters.values("type").iter().find(|kind| !["custom", "builtin"].contains(&kind.as_str()))
        {
            return Err(format!("invalid filter: 'type'='{other}'"));
        }
        let dangling = filters.truth("dangling")?;
        let names = pattern::alternatives(filters.values("name"))?;
        Ok(Self { filters, names, dangling })
    }

    /// Whether a network matches; `in_use` returns whether it has containers.
    pub(super) fn fits(&self, record: &NetworkRecord, in_use: impl Fn(&NetworkRecord) -> bool) -> bool {
        let definition = &record.definition;
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let values = self.filters.values(name);
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        let kind = if record.is_predefined() { "builtin" } else { "custom" };
        let name = definition.name.as_str();
        let named = self.filters.values("name");
        (named.is_empty()
            || named.iter().any(|part| name.contains(part.as_str()))
            || self.names.iter().any(|pattern| pattern.is_match(name)))
            && any("driver", &|driver| driver == definition.driver.name())
            && any("type", &|wanted| wanted == kind)
            && any("id", &|part| record.id.as_str().contains(part))
            && any("scope", &|scope| scope == "local")
            && self.filters.values("label").iter().all(|label| has_label(&definition.labels, label))
            && self.dangling.is_none_or(|wanted| {
                let is_dangling = !record.is_predefined() && !in_use(record);
                is_dangling == wanted
            })
    }
}

#[cfg(test)]
mod tests {
    use model::{NetworkDefinition, NetworkId, Timestamp};

    use super::*;

    fn record(name: &str) -> NetworkRecord {
        let labels = [("tier".to_owned(), "web".to_owned())].into();
        let definition = NetworkDefinition { name: name.to_owned(), labels, ..NetworkDefinition::default() };
        let id = NetworkId::from_random([0xab; 32]);
        NetworkRecord { id, created: Timestamp::now(), definition, shared_bridge: None }
    }

    #[test]
    fn networks_are_chosen_by_what_they_are() {
        let fits = |text: &str| NetworkFilter::parse(text).expect(text).fits(&record("own-net"), |_| false);
        for yes in [
            "",
            r#"{"name":["n-n"]}"#,
            r#"{"name":["^own"],"driver":["bridge"]}"#,
            r#"{"id":["baba"]}"#,
            r#"{"label":["tier","tier=web"],"scope":["local"]}"#,
            r#"{"type":["custom"],"dangling":["1"]}"#,
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            r#"{"name":["other"]}"#,
            r#"{"driver":["brid"]}"#,
            r#"{"label":["tier="]}"#,
            r#"{"type":["builtin"]}"#,
            r#"{"dangling":["false"]}"#,
            r#"{"scope":["swarm"]}"#,
        ] {
            assert!(!fits(no), "{no}");
        }
        for bad in [r#"{"foo":["x"]}"#, r#"{"type":["x"]}"#, r#"{"dangling":["x"]}"#, "[", r#"{"name":"x"}"#]
        {
            assert!(NetworkFilter::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn predefined_networks_are_never_dangling() {
        let filter = NetworkFilter::parse(r#"{"dangling":["true"]}"#).expect("a filter");
        assert!(!filter.fits(&record("bridge"), |_| false));
        assert!(!filter.fits(&record("own"), |_| true));
    }
}
