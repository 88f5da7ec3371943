//! A container's attributes for log drivers: facts, a tag, and the requested labels and variables.

use std::collections::BTreeMap;

use model::LogConfig;
use regex_lite::Regex;

use crate::pattern;
use crate::record::Record;

/// The facts that remote drivers send, and the tag if one was requested.
///
/// # Errors
/// When the tag has an unknown placeholder.
pub(crate) fn attributes(record: &Record) -> Result<BTreeMap<String, String>, String> {
    let options = &record.settings.host.log.options;
    let mut attributes = BTreeMap::from([
        ("image_name".to_owned(), record.settings.image.clone()),
        ("image_id".to_owned(), record.image.hexadecimal()),
        ("command".to_owned(), command(record)),
        ("created".to_owned(), record.created.to_string()),
    ]);
    let own = record.settings.host.log.driver.as_ref().map(|driver| format!("{driver}-tag"));
    if let Some(tag) = options.get("tag").or_else(|| options.get(&own?)) {
        attributes.insert("tag".to_owned(), expand(tag, record)?);
    }
    Ok(attributes)
}

/// The labels and variables that the options `labels`, `labels-regex`, `env` and `env-regex` name, as far as the container has them.
pub(crate) fn selected(record: &Record) -> BTreeMap<String, String> {
    let options = &record.settings.host.log.options;
    let names =
        |option: &str| options.get(option).into_iter().flat_map(|names| names.split(',')).map(str::trim);
    let label = |name: &str| record.settings.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
    // Of a variable that is given twice the last one counts, as it does for the container's process.
    let variable = |name: &str| {
        let mut variables = record.settings.environment.iter().flatten().rev();
        variables.find_map(|variable| variable.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let labels = names("labels").filter_map(|name| Some((name.to_owned(), label(name)?)));
    let variables = names("env").filter_map(|name| Some((name.to_owned(), variable(name)?)));
    let mut selected: BTreeMap<String, String> = BTreeMap::new();
    if let Some(pattern) = selector(options, "labels-regex") {
        let all = record.settings.labels.iter().flatten();
        selected.extend(
            all.filter(|(name, _)| pattern.is_match(name)).map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    if let Some(pattern) = selector(options, "env-regex") {
        let all = record.settings.environment.iter().flatten().filter_map(|pair| pair.split_once('='));
        selected.extend(
            all.filter(|(name, _)| pattern.is_match(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
    }
    selected.extend(labels.chain(variables));
    selected
}

/// Refuses an invalid regular expression.
pub(super) fn check(config: &LogConfig) -> Result<(), String> {
    for option in ["labels-regex", "env-regex"] {
        if let Some(text) = config.options.get(option) {
            pattern::compile(text)
                .map_err(|error| format!("invalid value for {option}: '{text}': {error}"))?;
        }
    }
    Ok(())
}

fn selector(options: &BTreeMap<String, String>, option: &str) -> Option<Regex> {
    options.get(option).and_then(|text| pattern::compile(text).ok())
}

fn command(record: &Record) -> String {
    let mut command = vec![record.path.clone()];
    command.extend(record.arguments.iter().cloned());
    command.join(" ")
}

/// Fills in the placeholders of a tag, written `{{.ID}}`.
fn expand(tag: &str, record: &Record) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = tag;
    while let Some((before, behind)) = rest.split_once("{{") {
        let unknown = || {
            format!(
                "invalid log tag '{tag}': {{{{.ID}}}}, .FullID, .Name, .ImageName, .ImageID, .ImageFullID, .Command and .DaemonName are known"
            )
        };
        let (name, after) = behind.split_once("}}").ok_or_else(unknown)?;
        text.push_str(before);
        text.push_str(&match name.trim() {
            ".ID" => record.id.short().to_owned(),
            ".FullID" => record.id.to_string(),
            ".Name" => record.name.clone(),
            ".ImageName" => record.settings.image.clone(),
            ".ImageID" => record.image.short().clone(),
            ".ImageFullID" => record.image.hexadecimal(),
            ".Command" => command(record),
            ".DaemonName" => "docker".to_owned(),
            _ => return Err(unknown()),
        });
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
