//! The options of the Dockerfile's frontend, parsed. Unknown ones are refused by name.

use std::collections::{BTreeMap, HashMap};

use engine::builder::NamedContext;
use engine::images::registry::Platform;
use model::HostSettings;

use super::layout::LayoutImage;
use super::limits;
use super::request_kind::Subrequest;
use crate::grpc::{Code, Status};

/// The longest option but for build arguments.
const OPTION_LIMIT: usize = 64 << 10;

/// The build argument by which a result is one of several platforms.
const MULTI_PLATFORM: &str = "BUILDKIT_MULTI_PLATFORM";

/// Platforms of one build.
const PLATFORM_LIMIT: usize = 32;

/// Where the main context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MainContext {
    /// The client offers it by this name.
    Client(String),
    /// The client sends it as an archive, requested by this path.
    Upload(String),
    /// A repository, or a file, by its address.
    Remote(String),
}

/// A frontend's options.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) context: MainContext,
    /// One for one platform only is called `name::linux/amd64`, in all of these.
    pub(super) named_contexts: BTreeMap<String, NamedContext>,
    /// The names that the client offers named contexts by.
    pub(super) local_names: BTreeMap<String, String>,
    /// The names of the graphs that named contexts are.
    pub(super) inputs: BTreeMap<String, String>,
    /// The images of the client's layouts that named contexts are.
    pub(super) layouts: BTreeMap<String, LayoutImage>,
    /// The name that the client offers the Dockerfile's directory by.
    pub(super) dockerfile_directory: String,
    /// Whether the Dockerfile is the client's also where the context lies elsewhere.
    pub(super) offers_dockerfile: bool,
    pub(super) file_name: String,
    pub(super) target: Option<String>,
    pub(super) build_arguments: BTreeMap<String, Option<String>>,
    pub(super) labels: BTreeMap<String, String>,
    /// The platforms of the images; if empty, this machine's.
    pub(super) platforms: Vec<Platform>,
    /// Whether the result is one of several platforms, also where it has one.
    pub(super) is_multi_platform: bool,
    pub(super) pull: bool,
    pub(super) no_cache: bool,
    pub(super) no_cache_filter: Vec<String>,
    pub(super) cache_from: Vec<String>,
    pub(super) cache_imports: Option<String>,
    pub(super) host: HostSettings,
    /// The request for something else than an image.
    pub(super) subrequest: Option<Subrequest>,
    /// Which client's directories these are.
    pub(super) shared_key: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            context: MainContext::Client("context".to_owned()),
            named_contexts: BTreeMap::new(),
            local_names: BTreeMap::new(),
            inputs: BTreeMap::new(),
            layouts: BTreeMap::new(),
            dockerfile_directory: "dockerfile".to_owned(),
            offers_dockerfile: false,
            file_name: "Dockerfile".to_owned(),
            target: None,
            build_arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            platforms: Vec::new(),
            is_multi_platform: false,
            pull: false,
            no_cache: false,
            no_cache_filter: Vec::new(),
            cache_from: Vec::new(),
            cache_imports: None,
            host: HostSettings::default(),
            subrequest: None,
            shared_key: None,
        }
    }
}

impl Options {
    /// Parses options.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid value, `Unimplemented` for an option that is not supported.
    pub(super) fn parse(options: &HashMap<String, String>) -> Result<Self, Status> {
        let mut parsed = Self::default();
        // In an order of its own, so that of several errors always the same one is shown.
        let sorted: BTreeMap<_, _> = options.iter().collect();
        for (name, value) in sorted {
            if value.len() > OPTION_LIMIT && !name.starts_with("build-arg:") {
                return Err(Status::invalid(format!(
                    "the option {name} is longer than {OPTION_LIMIT} bytes"
                )));
            }
            match name.split_once(':') {
                Some((kind, name)) => parsed.take_of_kind(kind, name, value)?,
                None => parsed.take(name, value)?,
            }
        }
        if let (MainContext::Client(name), Some(key)) = (&mut parsed.context, options.get("contextkey")) {
            name.clone_from(key);
        }
        Ok(parsed)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Status> {
        match name {
            "filename" => value.clone_into(&mut self.file_name),
            "target" => self.target = filled(value),
            "platform" => self.platforms = platforms(value)?,
            "context" if !value.is_empty() => self.context = main_context(value),
            "dockerfilekey" => {
                value.clone_into(&mut self.dockerfile_directory);
                self.offers_dockerfile = true;
            }
            "image-resolve-mode" => self.pull = value == "pull",
            "no-cache" if value.is_empty() => self.no_cache = true,
            "no-cache" => self.no_cache_filter = limits::list(value),
            "cache-from" => self.cache_from = limits::list(value),
            "cache-imports" => self.cache_imports = filled(value),
            "add-hosts" => self.host.extra_hosts = Some(limits::extra_hosts(value)?),
            "force-network-mode" => self.host.network_mode = limits::network_mode(value)?,
            "shm-size" => self.host.shm_size = limits::number(name, value)?,
            "memory" => self.host.resources.memory = limits::bytes(name, value)?,
            "memswap" => self.host.resources.memory_swap = limits::bytes(name, value)?,
            "cpushares" => self.host.resources.cpu_shares = limits::number(name, value)?,
            "cpuperiod" => self.host.resources.cpu_period = limits::number(name, value)?,
            "cpuquota" => self.host.resources.cpu_quota = limits::number(name, value)?,
            "cpusetcpus" => self.host.resources.cpuset_cpus = limits::cpu_set(name, value)?,
            "cpusetmems" => self.host.resources.cpuset_mems = limits::cpu_set(name, value)?,
            "ulimit" => self.host.resources.ulimits = Some(limits::ulimits(value)?),
            "cgroup-parent" => self.host.cgroup_parent = limits::cgroup_parent(value),
            "requestid" if value.is_empty() => self.subrequest = None,
            "requestid" => self.subrequest = Some(Subrequest::parse(value)?),
            "multi-platform" => self.is_multi_platform |= matches!(value, "true" | "1"),
            // Information about the client, or options without effect here: `contextkey` is read with `context`, the
            // frontend is the built-in one whatever `source` names.
            "context" | "contextkey" | "cmdline" | "source" | "frontend.caps" => {}
            other => return Err(unsupported(other)),
        }
        Ok(())
    }

    fn take_of_kind(&mut self, kind: &str, name: &str, value: &str) -> Result<(), Status> {
        match kind {
            "build-arg" if name == MULTI_PLATFORM => {
                self.is_multi_platform |= matches!(value, "true" | "1");
            }
            "build-arg" => drop(self.build_arguments.insert(name.to_owned(), Some(value.to_owned()))),
            "label" => drop(self.labels.insert(name.to_owned(), value.to_owned())),
            "context" => self.name_context(name, value)?,
            "attest" if is_disabled(value) => {}
            // The exporters make it.
            "attest" if name == "provenance" => {}
            "attest" => {
                return Err(no_attestation(name));
            }
            "local-sharedkeyhint" => self.shared_key = filled(value),
            // Identifies the client's directory of a named context: the client's name of it does that here.
            "sharedkey" if name.starts_with("localdir:") => {}
            // The client's information about the source's repository, for attestations; the session with a
            // directory.
            "vcs" | "local-sessionid" | "input-metadata" => {}
            other => return Err(unsupported(&format!("{other}:{name}"))),
        }
        Ok(())
    }

    fn name_context(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let context = match value.split_once(':') {
            Some(("docker-image", image)) => NamedContext::Image(image.trim_start_matches("//").to_owned()),
            Some(("local", local)) => {
                self.local_names.insert(name.to_owned(), local.to_owned());
                NamedContext::Provided
            }
            Some(("input", input)) => {
                self.inputs.insert(name.to_owned(), input.to_owned());
                return Ok(());
            }
            Some(("oci-layout", image)) => {
                self.layouts.insert(name.to_owned(), LayoutImage::parse(image)?);
                return Ok(());
            }
            _ => NamedContext::Remote(value.to_owned()),
        };
        self.named_contexts.insert(name.to_owned(), context);
        Ok(())
    }
}

fn unsupported(name: &str) -> Status {
    Status::unimplemented(format!("the build option {name} is not supported"))
}

/// The refusal of a kind of attestations.
fn no_attestation(kind: &str) -> Status {
    match kind {
        "sbom" => {
            let text = "attestations of the kind sbom are not supported: nothing here makes them";
            Status::unimplemented(text)
        }
        other => Status::new(Code::Unknown, format!("unknown attestation type {other:?}")),
    }
}

fn filled(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn is_disabled(value: &str) -> bool {
    value.split(',').any(|field| matches!(field.trim(), "disabled=true" | "disabled=1" | "false"))
}

/// Parses platforms between commas; one that is named twice is meant once.
fn platforms(value: &str) -> Result<Vec<Platform>, Status> {
    let mut platforms: Vec<Platform> = Vec::new();
    for name in limits::list(value) {
        let platform: Platform = name.parse().map_err(|error| Status::invalid(format!("{error}")))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.len() > PLATFORM_LIMIT {
        return Err(Status::invalid(format!("a build is for at most {PLATFORM_LIMIT} platforms")));
    }
    Ok(platforms)
}

fn main_context(value: &str) -> MainContext {
    if let Some(path) = value.strip_prefix("http://buildkit-session") {
        return MainContext::Upload(path.to_owned());
    }
    match value.strip_prefix("local:") {
        Some(name) => MainContext::Client(name.to_owned()),
        None => MainContext::Remote(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use model::NetworkMode;

    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Options, Status> {
        let owned = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Options::parse(&owned.collect())
    }

    #[test]
    fn options_are_read() {
        let options = parse(&[
            ("filename", "a/Dockerfile"),
            ("build-arg:A", "b=c"),
            ("no-cache", "one,two"),
            ("context:base", "docker-image://busybox"),
            ("context:src", "local:src-1"),
            ("context:made", "input:made-1"),
            ("add-hosts", "a=1.2.3.4,b=::1"),
            ("force-network-mode", "none"),
            ("platform", "linux/amd64"),
            ("sharedkey:localdir:src", "/home/me/src"),
        ])
        .expect("options");
        assert_eq!(options.file_name, "a/Dockerfile");
        assert_eq!(options.build_arguments["A"], Some("b=c".to_owned()));
        assert_eq!((options.no_cache, options.no_cache_filter.len()), (false, 2));
        assert_eq!(options.named_contexts["base"], NamedContext::Image("busybox".to_owned()));
        assert_eq!(options.local_names["src"], "src-1");
        assert_eq!(options.inputs["made"], "made-1");
        assert_eq!(options.host.extra_hosts.map(|hosts| hosts.len()), Some(2));
        assert_eq!(options.host.network_mode, NetworkMode::None);
        assert_eq!(options.platforms[0].architecture, "amd64");
        assert!(!options.is_multi_platform);
        assert!(parse(&[("build-arg:BUILDKIT_MULTI_PLATFORM", "1")]).expect("options").is_multi_platform);
    }

    #[test]
    fn contexts_are_told_apart() {
        let context = |value: &str| parse(&[("context", value)]).expect("options").context;
        assert_eq!(context(""), MainContext::Client("context".to_owned()));
        assert_eq!(context("http://buildkit-session/abc"), MainContext::Upload("/abc".to_owned()));
        assert_eq!(context("https://x/y.git"), MainContext::Remote("https://x/y.git".to_owned()));
        let renamed = parse(&[("contextkey", "context:1")]).expect("options").context;
        assert_eq!(renamed, MainContext::Client("context:1".to_owned()));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (name, value, text) in [
            ("attest:sbom", "generator=x", "attestations of the kind sbom"),
            ("nosuch", "1", "the build option nosuch"),
        ] {
            let refusal = parse(&[(name, value)]).expect_err(name);
            assert_eq!(refusal.code, Code::Unimplemented, "{name}");
            assert!(refusal.message.contains(text), "{refusal}");
        }
        let unknown = parse(&[("attest:foo", "")]).expect_err("no such kind");
        assert_eq!(unknown.message, "unknown attestation type \"foo\"");
        assert!(parse(&[("attest:sbom", "disabled=true")]).is_ok());
        assert_eq!(parse(&[("ulimit", "nofile")]).expect_err("no limit").code, Code::InvalidArgument);
    }
}
