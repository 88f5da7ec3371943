//! Labels and variables that a log's options select.

use std::collections::BTreeMap;

use model::LogSpec;

/// The labels and variables named by the options `labels` and `env`.
pub(crate) fn selected(spec: &LogSpec) -> BTreeMap<String, String> {
    ["labels", "env"]
        .iter()
        .filter_map(|option| spec.options.get(*option))
        .flat_map(|names| names.split(','))
        .filter_map(|name| spec.attributes.get_key_value(name.trim()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
