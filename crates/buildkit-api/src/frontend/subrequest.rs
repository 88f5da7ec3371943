//! Requests to the frontend other than building: checks, an outline, targets (`docker build --call`).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::builder::{self, BuildError, CheckInputs, IgnorePatterns, OutlineItem};
use serde_json::{Value, json};

use super::documents::Documents;
use super::failure;
use super::options::Options;
use super::request_kind::Subrequest;
use crate::grpc::Status;
use crate::parts::Parts;
use buildkit_messages::operations::SourceInfo;

/// The version of all answers.
const VERSION: &str = "1.0.0";

/// Answers as the metadata of a result.
///
/// # Errors
/// [`Status`] when the Dockerfile is malformed, except for checks, whose response has that.
pub(super) fn answer(
    parts: &Parts,
    request: Subrequest,
    options: &Options,
    documents: Option<&Documents>,
) -> Result<HashMap<String, Vec<u8>>, Status> {
    let needed = || {
        documents.ok_or_else(|| Status::invalid("the context is none of a client: it has no Dockerfile yet"))
    };
    let (json, text) = match request {
        Subrequest::Describe => describe(),
        Subrequest::Lint => lint(parts, options, needed()?),
        Subrequest::Outline => outline(options, needed()?)?,
        Subrequest::Targets => targets(needed()?)?,
    };
    let has_warnings = json["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty());
    let status = i32::from(has_warnings || json.get("buildError").is_some());
    Ok(HashMap::from([
        ("result.json".to_owned(), format!("{json:#}").into_bytes()),
        ("result.txt".to_owned(), text.into_bytes()),
        ("result.statuscode".to_owned(), status.to_string().into_bytes()),
        ("version".to_owned(), VERSION.as_bytes().to_vec()),
    ]))
}

fn describe() -> (Value, String) {
    let known = Subrequest::ALL;
    let text = known.iter().map(|known| format!("{}\t{VERSION}\t{}\n", known.name(), known.description()));
    let entry = |known: Subrequest| {
        json!({
            "name": known.name(),
            "version": VERSION,
            "type": "rpc",
            "description": known.description(),
            "metadata": [{ "name": "result.json" }, { "name": "result.txt" }],
        })
    };
    (Value::from_iter(known.map(entry)), text.collect())
}

/// A place in the Dockerfile, the only source of an answer.
fn location(lines: Option<(usize, usize)>) -> Value {
    let Some((first, last)) = lines else { return Value::Null };
    let position = |line: usize| json!({ "line": line });
    json!({ "ranges": [{ "start": position(first), "end": position(last) }] })
}

/// The inputs of checks that a client's options have.
fn check_inputs<'a>(options: &'a Options, ignored: &'a IgnorePatterns) -> CheckInputs<'a> {
    CheckInputs {
        arguments: options.build_arguments.clone(),
        ignored: Some(ignored),
        target: options.target.as_deref(),
        ..CheckInputs::default()
    }
}

/// What is left out of the context. Malformed patterns are refused where they are used.
fn ignored(documents: &Documents) -> IgnorePatterns {
    IgnorePatterns::of(documents.excludes.iter().map(String::as_str)).unwrap_or_default()
}

fn lint(parts: &Parts, options: &Options, documents: &Documents) -> (Value, String) {
    let ignored = ignored(documents);
    let store = parts.engine.images.store();
    let environment = |image: &str| builder::environment_of(store, image);
    let inputs = CheckInputs { environment: Some(&environment), ..check_inputs(options, &ignored) };
    let source = json!({
        "filename": documents.name,
        "language": "Dockerfile",
        "data": STANDARD.encode(&documents.text),
    });
    let (warnings, failure) = match builder::check_dockerfile(&documents.text, &inputs) {
        Ok(checked) => {
            let violated = checked.violated().map(BuildError::Checks);
            (checked.warnings, checked.failure.map(BuildError::from).or(violated))
        }
        Err(error) => (Vec::new(), Some(BuildError::from(error))),
    };
    let warning = |found: &builder::CheckWarning| {
        json!({
            "ruleName": found.rule.name(),
            "description": found.rule.description(),
            "url": found.rule.url(),
            "detail": found.message,
            "location": location(Some(found.lines)),
        })
    };
    let lines = warnings.iter().map(|found| {
        let line = found.lines.0;
        format!(
            "WARNING: {} - {}\n{}\n{}:{line}\n",
            found.rule.name(),
            found.rule.url(),
            found.message,
            documents.name
        )
    });
    let failed = failure.iter().map(|error| format!("ERROR: {}\n", error.graph_text()));
    let text = lines.chain(failed).collect::<Vec<_>>().join("\n");
    let mut json =
        json!({ "warnings": warnings.iter().map(warning).collect::<Vec<_>>(), "sources": [source] });
    if let Some(error) = failure {
        let place = error.lines().map_or_else(|| json!({}), |lines| location(Some(lines)));
        json["buildError"] = json!({ "message": error.graph_text(), "location": place });
    }
    (json, text)
}

fn outline(options: &Options, documents: &Documents) -> Result<(Value, String), Status> {
    let ignored = ignored(documents);
    let checked = builder::check_dockerfile(&documents.text, &check_inputs(options, &ignored));
    if let Some(rules) = checked.ok().and_then(|checked| checked.violated()) {
        return Err(failed(&BuildError::Checks(rules), documents));
    }
    let found = builder::outline(
        &documents.text,
        options.target.as_deref(),
        options.build_arguments.clone(),
        options.platforms.first(),
    );
    let found = found.map_err(|error| failed(&error, documents))?;
    let argument = |item: &OutlineItem| {
        json!({
            "name": item.name,
            "description": item.description,
            "value": item.value.clone().unwrap_or_default(),
            "location": location(item.lines),
        })
    };
    let provision = |item: &OutlineItem| json!({ "name": item.name, "required": item.required, "location": location(item.lines) });
    let cache = |item: &OutlineItem| json!({ "ID": item.name, "location": location(item.lines) });
    let list = |items: &[OutlineItem], entry: &dyn Fn(&OutlineItem) -> Value| {
        items.iter().map(entry).collect::<Vec<_>>()
    };
    let json = json!({
        "name": found.name.clone().unwrap_or_default(),
        "description": found.description,
        "args": list(&found.arguments, &argument),
        "secrets": list(&found.secrets, &provision),
        "ssh": list(&found.agents, &provision),
        "cache": list(&found.caches, &cache),
        "sources": [STANDARD.encode(&documents.text)],
    });
    let lines = found.arguments.iter().map(|item| {
        format!("{}\t{}\t{}\n", item.name, item.value.as_deref().unwrap_or_default(), item.description)
    });
    Ok((filled(json), lines.collect()))
}

/// An answer without what is empty, false or nothing.
fn filled(value: Value) -> Value {
    let is_filled = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, filled(value)));
            Value::Object(fields.filter(|(_, value)| is_filled(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(filled).collect()),
        other => other,
    }
}

fn targets(documents: &Documents) -> Result<(Value, String), Status> {
    let found = builder::targets(&documents.text).map_err(|error| failed(&error, documents))?;
    let entry = |target: &builder::Target| {
        json!({
            "name": target.name.clone().unwrap_or_default(),
            "description": target.description,
            "default": target.is_default,
            "base": target.base,
            "platform": target.platform.clone().unwrap_or_default(),
            "location": location(target.lines),
        })
    };
    let json = json!({
        "targets": found.iter().map(entry).collect::<Vec<_>>(),
        "sources": [STANDARD.encode(&documents.text)],
    });
    let line = |target: &builder::Target| {
        let default = if target.is_default { " (default)" } else { "" };
        format!("{}{default}\t{}\n", target.name.as_deref().unwrap_or_default(), target.description)
    };
    Ok((filled(json), found.iter().map(line).collect()))
}

fn failed(error: &BuildError, documents: &Documents) -> Status {
    let source = SourceInfo {
        file_name: documents.name.clone(),
        data: documents.text.clone(),
        language: "Dockerfile".to_owned(),
    };
    failure::status(error, Some(&source))
}
