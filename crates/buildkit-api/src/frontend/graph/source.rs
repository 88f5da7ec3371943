//! Sources of a graph as FROM, and as COPY and ADD into nothing.

use engine::images::registry::Platform;

use super::own_image;
use super::text::{LocalSource, Text};
use super::words::{literals, plain};
use crate::grpc::Status;
use buildkit_messages::operations::{Operation, Platform as OperationPlatform, Source};

/// Writes a source.
///
/// # Errors
/// `Unimplemented` for one of another kind, or with an attribute that has no equal.
pub(super) fn write(text: &mut Text, operation: &Operation, source: &Source) -> Result<(), Status> {
    let (kind, place) = source.identifier.split_once("://").unwrap_or(("", &source.identifier));
    match kind {
        own_image::KIND => {
            let image = text.add_image(own_image::parse(place)?);
            text.begin(&image);
            Ok(())
        }
        "docker-image" => image(text, operation, source, place),
        "local" => local(text, source, place),
        "git" => git(text, source),
        "http" | "https" => http(text, source),
        other => Err(Status::unimplemented(format!("a source {other:?} of a build graph is not supported"))),
    }
}

fn refuse(source: &Source, name: &str) -> Status {
    let value = source.attributes.get(name).map(String::as_str).unwrap_or_default();
    Status::unimplemented(format!(
        "the attribute {name}={value} of the source {} is not supported",
        source.identifier
    ))
}

/// Refuses attributes that are not among these.
fn check(source: &Source, known: &[&str]) -> Result<(), Status> {
    let unknown = source.attributes.keys().filter(|name| !known.contains(&name.as_str())).min();
    unknown.map_or(Ok(()), |name| Err(refuse(source, name)))
}

fn image(text: &mut Text, operation: &Operation, source: &Source, place: &str) -> Result<(), Status> {
    check(source, &["image.resolvemode", "image.recordtype"])?;
    match source.attributes.get("image.resolvemode").map(String::as_str) {
        None | Some("" | "default" | "local") => {}
        Some(_) => return Err(refuse(source, "image.resolvemode")),
    }
    let platform = operation.platform.clone().filter(|platform| !platform.architecture.is_empty());
    let platform = platform.map(|OperationPlatform { architecture, os, variant }| {
        let platform = Platform { architecture, os, variant }.to_string();
        plain(&platform).map(|platform| format!("--platform={platform} "))
    });
    let image = plain(place)?;
    text.begin(&format!("{}{image}", platform.transpose()?.unwrap_or_default()));
    Ok(())
}

fn local(text: &mut Text, source: &Source, place: &str) -> Result<(), Status> {
    check(
        source,
        &[
            "local.sessionid",
            "local.unique",
            "local.includepattern",
            "local.excludepatterns",
            "local.followpaths",
            "local.sharedkeyhint",
            "local.differ",
        ],
    )?;
    let list = |name: &str| match source.attributes.get(name) {
        None => Ok(Vec::new()),
        Some(value) => serde_json::from_str(value)
            .map_err(|_| Status::invalid(format!("{name} of a source is no list of texts: {value:?}"))),
    };
    let local = LocalSource {
        directory: place.to_owned(),
        includes: list("local.includepattern")?,
        excludes: list("local.excludepatterns")?,
        paths: list("local.followpaths")?,
    };
    text.begin("scratch");
    let context = text.add_local(local);
    text.line(&format!("COPY --from={context} / /"));
    Ok(())
}

fn git(text: &mut Text, source: &Source) -> Result<(), Status> {
    check(
        source,
        &[
            "git.fullurl",
            "git.keepgitdir",
            "git.checksum",
            "git.skipsubmodules",
            "git.authtokensecret",
            "git.authheadersecret",
        ],
    )?;
    // Secrets are looked up by these names.
    for (name, secret) in
        [("git.authtokensecret", "GIT_AUTH_TOKEN"), ("git.authheadersecret", "GIT_AUTH_HEADER")]
    {
        if source.attributes.get(name).is_some_and(|wanted| wanted != secret) {
            return Err(refuse(source, name));
        }
    }
    let (_, fragment) = source.identifier.split_once('#').unwrap_or((&source.identifier, ""));
    let full = source.attributes.get("git.fullurl").cloned();
    let address = full.unwrap_or_else(|| source.identifier.replacen("git://", "https://", 1));
    let address = address.split('#').next().unwrap_or_default();
    // ADD recognises an address of the web as that of a repository by its end.
    let is_web = address.starts_with("http://") || address.starts_with("https://");
    let end = if is_web && !address.ends_with(".git") { ".git" } else { "" };
    let is_on = |name: &str| source.attributes.get(name).is_some_and(|value| value == "true");
    let keeps = if is_on("git.keepgitdir") { " --keep-git-dir=true" } else { "" };
    let checksum = source.attributes.get("git.checksum").map(|checksum| plain(checksum)).transpose()?;
    let checksum = checksum.map(|checksum| format!(" --checksum={checksum}")).unwrap_or_default();
    let query = if is_on("git.skipsubmodules") { "?submodules=0" } else { "" };
    let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
    text.begin("scratch");
    text.line(&format!(
        "ADD{keeps}{checksum} {}",
        literals(&[&format!("{address}{end}{query}{fragment}"), "/"])?
    ));
    Ok(())
}

fn http(text: &mut Text, source: &Source) -> Result<(), Status> {
    let name = file_name(source)?;
    text.begin("scratch");
    text.line(&download(source, &format!("/{name}"), false)?);
    Ok(())
}

/// Whether a source is a file at an address.
pub(super) fn is_download(source: &Source) -> bool {
    source.identifier.starts_with("http://") || source.identifier.starts_with("https://")
}

/// The name of a download's file.
///
/// # Errors
/// `InvalidArgument` where it has none.
pub(super) fn file_name(source: &Source) -> Result<&str, Status> {
    let path = source.identifier.split(['?', '#']).next().unwrap_or_default();
    let own = path.rsplit('/').next().unwrap_or_default();
    let name = source.attributes.get("http.filename").map_or(own, String::as_str);
    if name.is_empty() || name.contains('/') {
        return Err(Status::invalid(format!("the source {} has no name of a file", source.identifier)));
    }
    Ok(name)
}

/// The instruction that puts a download to a path, unpacked where it is an archive and that is wanted.
///
/// # Errors
/// `Unimplemented` for one with an attribute that has no equal.
pub(super) fn download(source: &Source, destination: &str, unpacks: bool) -> Result<String, Status> {
    check(source, &["http.checksum", "http.filename"])?;
    let checksum = source.attributes.get("http.checksum").map(|checksum| plain(checksum)).transpose()?;
    let checksum = checksum.map(|checksum| format!(" --checksum={checksum}")).unwrap_or_default();
    Ok(format!("ADD --unpack={unpacks}{checksum} {}", literals(&[&source.identifier, destination])?))
}
