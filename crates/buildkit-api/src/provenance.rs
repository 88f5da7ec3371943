//! Statements about the making of an image: provenance in the form of the SLSA specification, and with the content that
//! Docker documents for a builder.

use std::collections::{BTreeSet, HashMap};

use engine::builder::{Material, MaterialContent, Provision};
use engine::images::Predicate;
use engine::images::registry::Platform;
use model::{Timestamp, without_credentials};
use serde_json::{Map, Value, json};

use crate::build::{Build, CACHE_OPTIONS};
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

/// What is missing in the most detailed form.
const PARTIAL: &str = "provenance of mode=max lacks the build's graph (buildConfig), the Dockerfile and the digests of layers: \
    it adds build arguments, labels, secrets and agents to mode=min";
/// The options that are said elsewhere in a statement, or are none of the build's.
const SAID_ELSEWHERE: [&str; 6] =
    ["context", "contextkey", "filename", "image-resolve-mode", "cmdline", "source"];
/// The kinds of options that have values of the user.
const OF_USER: [&str; 2] = ["build-arg", "label"];
/// The secrets that a source in a repository may use.
const OF_REPOSITORIES: [&str; 2] = ["GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"];

/// The amount of detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// No build arguments and labels, and nothing about secrets.
    Least,
    /// The build arguments and labels, and which secrets and agents steps may use.
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
            detail: Detail::Most,
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

    /// What of the wish is not made, in words.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.detail == Detail::Most).then(|| PARTIAL.to_owned())
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
                "configSource": config_source("entryPoint", &options, image),
                "parameters": self.parameters(build, &options, image),
                "environment": { "platform": Platform::host().to_string() },
            },
            "metadata": {
                "buildInvocationID": build.reference,
                "buildStartedOn": started(build),
                "buildFinishedOn": Timestamp::now().to_string(),
                "completeness": {
                    "parameters": self.has_all(&options, image),
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
                    "configSource": config_source("path", &options, image),
                    "request": self.parameters(build, &options, image),
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
                        "request": self.has_all(&options, image),
                        "resolvedDependencies": false,
                    },
                    "buildkit_reproducible": self.is_reproducible,
                },
            },
        })
    }

    /// The client's parameters of the build.
    fn parameters(&self, build: &Build, options: &HashMap<String, String>, image: &MadeImage) -> Value {
        let frontend = if build.frontend.is_empty() { "dockerfile.v0" } else { &build.frontend };
        let mut parameters = Map::from_iter([("frontend".to_owned(), json!(frontend))]);
        let mut add = |name: &str, value: Value| {
            if value.as_array().is_none_or(|list| !list.is_empty()) {
                parameters.insert(name.to_owned(), value);
            }
        };
        let said = options.iter().filter(|(name, _)| self.says(name));
        let said: Map<String, Value> =
            said.map(|(name, value)| (name.clone(), without_credentials(value).into())).collect();
        if !said.is_empty() {
            add("args", said.into());
        }
        if self.detail == Detail::Most {
            add("secrets", secrets(image));
            add("ssh", agents(image));
        }
        add("locals", locals(options));
        parameters.into()
    }

    /// Whether an option is a parameter of the statement.
    fn says(&self, name: &str) -> bool {
        let kind = name.split_once(':').map_or("", |(kind, _)| kind);
        let is_elsewhere = SAID_ELSEWHERE.contains(&name) || CACHE_OPTIONS.contains(&name);
        let is_kept = self.detail == Detail::Most || !OF_USER.contains(&kind);
        is_kept && !is_elsewhere && !matches!(kind, "attest" | "vcs" | "local-sessionid")
    }

    /// Whether the parameters are all there.
    fn has_all(&self, options: &HashMap<String, String>, image: &MadeImage) -> bool {
        let is_of_user =
            |name: &String| name.split_once(':').is_some_and(|(kind, _)| OF_USER.contains(&kind));
        self.detail == Detail::Most || !options.keys().any(is_of_user) && image.provisions.is_empty()
    }
}

/// The secrets that steps and sources may use.
fn secrets(image: &MadeImage) -> Value {
    let is_repository = |material: &Material| matches!(material.content, MaterialContent::Commit(_));
    let of_sources: &[&str] = if image.materials.iter().any(is_repository) { &OF_REPOSITORIES } else { &[] };
    let of_sources = of_sources.iter().map(|id| json!({ "id": id, "optional": true }));
    let of_steps = image.provisions.iter().filter_map(|(provision, is_required)| match provision {
        Provision::Secret(id) if !OF_REPOSITORIES.contains(&id.as_str()) => Some(used(id, *is_required)),
        Provision::Secret(_) | Provision::Agent(_) => None,
    });
    of_sources.chain(of_steps).collect()
}

/// The ssh agents that steps may use.
fn agents(image: &MadeImage) -> Value {
    let agents = image.provisions.iter().filter_map(|(provision, is_required)| match provision {
        Provision::Agent(id) => Some(used(id, *is_required)),
        Provision::Secret(_) => None,
    });
    agents.collect()
}

fn used(id: &str, is_required: bool) -> Value {
    if is_required { json!({ "id": id }) } else { json!({ "id": id, "optional": true }) }
}

/// The directories of the client that the build is of.
fn locals(options: &HashMap<String, String>) -> Value {
    let option = |name: &str| options.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let context = option("context").unwrap_or("local:context");
    let main = context.strip_prefix("local:").map(|name| option("contextkey").unwrap_or(name));
    let dockerfile = option("dockerfilekey").or(main.map(|_| "dockerfile"));
    let named = options.iter().filter(|(name, _)| name.starts_with("context:"));
    let named = named.filter_map(|(_, value)| value.strip_prefix("local:"));
    let names: BTreeSet<&str> = main.into_iter().chain(dockerfile).chain(named).collect();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// Where the Dockerfile comes from; `entry` is what a statement calls its name.
fn config_source(entry: &str, options: &HashMap<String, String>, image: &MadeImage) -> Value {
    let address = options.get("context").map(|context| without_credentials(context));
    let source = address.and_then(|address| image.materials.iter().find(|found| found.address == address));
    let mut source = source.map_or_else(|| json!({}), material);
    source[entry] = options.get("filename").map_or("Dockerfile", String::as_str).into();
    source
}

fn started(build: &Build) -> String {
    let nanoseconds = u32::try_from(build.created.nanoseconds).unwrap_or_default();
    Timestamp::from_unix(build.created.seconds, nanoseconds).unwrap_or(Timestamp::NEVER).to_string()
}

/// The client's information about the repository that its files are in.
fn repository(options: &HashMap<String, String>) -> Value {
    let known = options.iter().filter_map(|(name, value)| Some((name.strip_prefix("vcs:")?, value)));
    let known: Map<String, Value> =
        known.map(|(name, value)| (name.to_owned(), without_credentials(value).into())).collect();
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
        let unsaid = parse("").expect("a value").expect("asked for");
        assert_eq!(unsaid.detail, Detail::Most, "as BuildKit does where no mode is said");
        assert!(unsaid.warning().is_some() && least.warning().is_none());
    }

    #[test]
    fn unknown_wishes_are_refused_by_name() {
        let refused = parse("mode=most").expect_err("an unknown mode");
        assert_eq!(refused.code, Code::Unimplemented);
        assert!(refused.message.contains("mode=most"), "{refused}");
        assert_eq!(parse("reproducible=maybe").expect_err("no boolean").code, Code::InvalidArgument);
    }
}
