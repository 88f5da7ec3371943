//! Statements about the making of an image: provenance in the form of the SLSA specification, and with the content that
//! Docker documents for a builder.

use std::collections::HashMap;

use engine::builder::{Material, MaterialContent};
use engine::images::Predicate;
use engine::images::registry::Platform;
use model::Timestamp;
use serde_json::{Map, Value, json};

use crate::build::Build;
use crate::grpc::Status;
use crate::made::MadeImage;

/// The option that requests it.
const OPTION: &str = "attest:provenance";
/// The predicate of SLSA 0.2, the one that is made where the client does not choose.
const SLSA_0_2: &str = "https://slsa.dev/provenance/v0.2";
/// The predicate of SLSA 1.
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
/// The type of the build, in the words of SLSA 0.2.
const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";
/// The same in those of SLSA 1.
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// Where SLSA 0.2 has what only builds of this kind have.
const OWN_METADATA: &str = "https://mobyproject.org/buildkit@v1#metadata";

/// The amount of detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// No values that the client gave to the build.
    Least,
    /// The options of the build too.
    Most,
}

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) detail: Detail,
    predicate: &'static str,
    /// Whether results that are no images go without it.
    pub(crate) is_for_images_only: bool,
    builder: String,
    is_reproducible: bool,
}

impl Provenance {
    /// Parses the options of a build.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid value, `Unimplemented` for an unknown one.
    pub(crate) fn of_options(options: &HashMap<String, String>) -> Result<Option<Self>, Status> {
        options.get(OPTION).map_or(Ok(None), |value| Self::parse(value))
    }

    fn parse(value: &str) -> Result<Option<Self>, Status> {
        let mut parsed = Self {
            detail: Detail::Least,
            predicate: SLSA_0_2,
            is_for_images_only: false,
            builder: String::new(),
            is_reproducible: false,
        };
        for field in value.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, "true"));
            let flag = || match value {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                other => Err(Status::invalid(format!("{OPTION}: {name} is no boolean: {other:?}"))),
            };
            match (name, value) {
                ("disabled", _) if flag()? => return Ok(None),
                ("false", "true") => return Ok(None),
                ("disabled" | "true", _) => {}
                // Clients may send the type with the option.
                ("type", "provenance") => {}
                ("mode", "min") => parsed.detail = Detail::Least,
                ("mode", "max") => parsed.detail = Detail::Most,
                ("version", "v0.2") => parsed.predicate = SLSA_0_2,
                ("version", "v1") => parsed.predicate = SLSA_1,
                ("builder-id", id) => id.clone_into(&mut parsed.builder),
                ("reproducible", _) => parsed.is_reproducible = flag()?,
                ("inline-only", _) => parsed.is_for_images_only = flag()?,
                _ => return Err(Status::unimplemented(format!("{OPTION}: {name}={value} is not supported"))),
            }
        }
        Ok(Some(parsed))
    }

    /// The statement about an image of a build.
    pub(crate) fn predicate(&self, build: &Build, image: &MadeImage) -> Predicate {
        let content = match self.predicate {
            SLSA_1 => self.slsa_1(build, image),
            _ => self.slsa_0_2(build, image),
        };
        Predicate { kind: self.predicate.to_owned(), content }
    }

    fn slsa_0_2(&self, build: &Build, image: &MadeImage) -> Value {
        let options = build.attributes();
        json!({
            "builder": { "id": self.builder },
            "buildType": BUILD_TYPE,
            "materials": image.materials.iter().map(material).collect::<Vec<_>>(),
            "invocation": {
                "configSource": { "entryPoint": entry_point(&options) },
                "parameters": self.parameters(build, &options),
                "environment": { "platform": Platform::host().to_string() },
            },
            "metadata": {
                "buildInvocationID": build.reference,
                "buildStartedOn": started(build),
                "buildFinishedOn": Timestamp::now().to_string(),
                "completeness": {
                    "parameters": self.detail == Detail::Most,
                    "environment": true,
                    "materials": false,
                },
                "reproducible": self.is_reproducible,
                OWN_METADATA: repository(&options),
            },
        })
    }

    fn slsa_1(&self, build: &Build, image: &MadeImage) -> Value {
        let options = build.attributes();
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "externalParameters": {
                    "configSource": { "path": entry_point(&options) },
                    "request": self.parameters(build, &options),
                },
                "internalParameters": { "builderPlatform": Platform::host().to_string() },
                "resolvedDependencies": image.materials.iter().map(material).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": self.builder },
                "metadata": {
                    "invocationId": build.reference,
                    "startedOn": started(build),
                    "finishedOn": Timestamp::now().to_string(),
                    "buildkit_metadata": repository(&options),
                    "buildkit_completeness": {
                        "request": self.detail == Detail::Most,
                        "resolvedDependencies": false,
                    },
                    "buildkit_reproducible": self.is_reproducible,
                },
            },
        })
    }

    /// The client's parameters of the build.
    fn parameters(&self, build: &Build, options: &HashMap<String, String>) -> Value {
        let frontend = if build.frontend.is_empty() { "dockerfile.v0" } else { &build.frontend };
        let mut parameters = json!({
            "frontend": frontend,
            "locals": [{ "name": "context" }, { "name": "dockerfile" }],
        });
        if self.detail == Detail::Most {
            let is_said = |name: &str| !name.starts_with("attest:") && !name.starts_with("vcs:");
            let said = options.iter().filter(|(name, _)| is_said(name));
            parameters["args"] =
                said.map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into();
        }
        parameters
    }
}

fn entry_point(options: &HashMap<String, String>) -> &str {
    options.get("filename").map_or("Dockerfile", String::as_str)
}

fn started(build: &Build) -> String {
    let nanoseconds = u32::try_from(build.created.nanoseconds).unwrap_or_default();
    Timestamp::from_unix(build.created.seconds, nanoseconds).unwrap_or(Timestamp::NEVER).to_string()
}

/// The client's information about the repository that its files are in.
fn repository(options: &HashMap<String, String>) -> Value {
    let known = options.iter().filter_map(|(name, value)| Some((name.strip_prefix("vcs:")?, value)));
    let known: Map<String, Value> = known.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    if known.is_empty() { json!({}) } else { json!({ "vcs": known }) }
}

fn material(material: &Material) -> Value {
    let digest = match &material.content {
        MaterialContent::Digest(digest) => json!({ "sha256": digest.hexadecimal() }),
        MaterialContent::Commit(commit) => json!({ "sha1": commit }),
    };
    json!({ "uri": material.address, "digest": digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::Code;

    fn parse(value: &str) -> Result<Option<Provenance>, Status> {
        Provenance::of_options(&HashMap::from([(OPTION.to_owned(), value.to_owned())]))
    }

    #[test]
    fn clients_choose_what_is_said() {
        let least = parse("mode=min,inline-only=true").expect("a value").expect("asked for");
        assert_eq!((least.detail, least.is_for_images_only), (Detail::Least, true));
        assert_eq!(least.predicate, SLSA_0_2);
        let most = parse("type=provenance,mode=max,version=v1,builder-id=https://b/1")
            .expect("a value")
            .expect("asked for");
        assert_eq!((most.detail, most.predicate), (Detail::Most, SLSA_1));
        assert_eq!(most.builder, "https://b/1");
        for none in ["disabled=true", "false"] {
            assert_eq!(parse(none).expect("a value"), None, "{none}");
        }
        assert!(parse("").expect("a value").is_some());
    }

    #[test]
    fn unknown_wishes_are_refused_by_name() {
        let refused = parse("mode=most").expect_err("an unknown mode");
        assert_eq!(refused.code, Code::Unimplemented);
        assert!(refused.message.contains("mode=most"), "{refused}");
        assert_eq!(parse("reproducible=maybe").expect_err("no boolean").code, Code::InvalidArgument);
    }
}
