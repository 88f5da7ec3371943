//! `RUN --mount=…`: what a command sees in addition to the image's files.

use model::split_binary_unit;

use super::DockerfileError;

/// A mount of RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunMount {
    /// Its place, relative to the working directory; empty where the kind has one of its own.
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) kind: RunMountKind,
}

/// The kind of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunMountKind {
    /// Files of the context, a stage or an image; what is written is lost.
    Bind { from: Option<String>, source: String },
    /// A directory that is kept for later builds; without any access it is root's.
    Cache { id: String, from: Option<String>, source: String, sharing: Sharing, access: Option<Access> },
    /// Memory.
    Tmpfs { size: Option<u64> },
    /// A secret of the client's, as a file, a variable or both.
    Secret { id: String, required: bool, variable: Option<String>, access: Access },
    /// The client's ssh agent.
    Ssh { id: String, required: bool, access: Access },
}

/// Its mode and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// Default permission bits of the directory of a cache.
const CACHE_MODE: u32 = 0o755;

impl Access {
    /// The default for caches.
    pub(crate) const CACHE: Self = Self { mode: CACHE_MODE, user: 0, group: 0 };
}

/// How steps share a cache that they need at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// All use it.
    Shared,
    /// Each gets one of its own.
    Private,
    /// One after the other.
    Locked,
}

/// The keys with the kinds of mounts that have them.
const KEYS: &[(&str, &[&str])] = &[
    ("type", &["bind", "cache", "tmpfs", "secret", "ssh"]),
    ("target", &["bind", "cache", "tmpfs", "secret", "ssh"]),
    ("from", &["bind", "cache"]),
    ("source", &["bind", "cache"]),
    ("rw", &["bind"]),
    ("ro", &["bind", "cache"]),
    ("id", &["cache", "secret", "ssh"]),
    ("sharing", &["cache"]),
    ("mode", &["cache", "secret", "ssh"]),
    ("uid", &["cache", "secret", "ssh"]),
    ("gid", &["cache", "secret", "ssh"]),
    ("size", &["tmpfs"]),
    ("required", &["secret", "ssh"]),
    ("env", &["secret"]),
];

const DEFAULT_KIND: &str = "bind";

/// The values of `sharing`.
pub(crate) const SHARING_NAMES: [&str; 3] = ["shared", "private", "locked"];

/// The types of mounts.
pub(crate) fn mount_types() -> impl Iterator<Item = &'static str> {
    KEYS[0].1.iter().copied()
}

/// The names of keys; those that have others too have these first.
pub(crate) fn mount_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// The pairs of a mount's text.
struct Fields<'a> {
    pairs: Vec<(&'static str, Option<&'a str>)>,
}

impl RunMount {
    /// Parses the value of `--mount`, in which variables were put in.
    ///
    /// # Errors
    /// [`DockerfileError`] naming the key and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, DockerfileError> {
        let fields = Fields::parse(text)?;
        let kind = fields.value("type").unwrap_or(DEFAULT_KIND);
        for (key, _) in &fields.pairs {
            let kinds = KEYS.iter().find(|(known, _)| known == key).map_or(&[][..], |(_, kinds)| kinds);
            if !kinds.contains(&kind) {
                return Err(DockerfileError::MountKey { key: (*key).to_owned(), kind: kind.to_owned() });
            }
        }
        let target = fields.value("target").unwrap_or_default().to_owned();
        let needs_target = matches!(kind, "bind" | "cache" | "tmpfs");
        if needs_target && target.is_empty() {
            return Err(DockerfileError::MountWithoutTarget(kind.to_owned()));
        }
        let from = fields.value("from").map(str::to_owned);
        let source = fields.value("source").unwrap_or_default().to_owned();
        let read_only = match kind {
            "bind" => fields.is_read_only()?,
            "cache" => fields.switch("ro")?.unwrap_or(false),
            _ => false,
        };
        let kind = match kind {
            "bind" => RunMountKind::Bind { from, source },
            "cache" => {
                let id = fields.value("id").unwrap_or(&target).to_owned();
                let says_access = ["mode", "uid", "gid"].iter().any(|key| fields.value(key).is_some());
                let (sharing, access) = (fields.sharing()?, fields.access(CACHE_MODE)?);
                let access = says_access.then_some(access);
                RunMountKind::Cache { id, from, source, sharing, access }
            }
            "tmpfs" => RunMountKind::Tmpfs { size: fields.size()? },
            kind => fields.parse_provision(kind, &target)?,
        };
        Ok(Self { target, read_only, kind })
    }

    /// The stage, context or image whose files it shows; `None` where that is the main context, or nothing.
    pub(crate) fn from(&self) -> Option<&str> {
        match &self.kind {
            RunMountKind::Bind { from, .. } | RunMountKind::Cache { from, .. } => from.as_deref(),
            RunMountKind::Tmpfs { .. } | RunMountKind::Secret { .. } | RunMountKind::Ssh { .. } => None,
        }
    }
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, DockerfileError> {
        let mut pairs: Vec<(&'static str, Option<&str>)> = Vec::new();
        for field in text.split(',') {
            let field = field.trim();
            let (written, value) =
                field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
            let key = match written.to_ascii_lowercase().as_str() {
                "src" => "source".to_owned(),
                "dst" | "destination" => "target".to_owned(),
                "readonly" => "ro".to_owned(),
                "readwrite" => "rw".to_owned(),
                other => other.to_owned(),
            };
            let known = KEYS.iter().find(|(known, _)| *known == key);
            let Some((key, _)) = known else {
                return Err(DockerfileError::UnknownMountKey {
                    key: written.to_owned(),
                    field: field.to_owned(),
                });
            };
            if value.is_none() && !matches!(*key, "ro" | "rw" | "required") {
                return Err(DockerfileError::MountField(field.to_owned()));
            }
            check_value(key, value)?;
            // The last one counts.
            pairs.retain(|(known, _)| known != key);
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    fn parse_provision(&self, kind: &str, target: &str) -> Result<RunMountKind, DockerfileError> {
        let required = self.switch("required")?.unwrap_or(false);
        if kind == "ssh" {
            let id = self.value("id").unwrap_or("default").to_owned();
            return Ok(RunMountKind::Ssh { id, required, access: self.access(0o600)? });
        }
        let name = target.rsplit('/').next().unwrap_or_default();
        let id = self.value("id").unwrap_or(name);
        if id.is_empty() {
            return Err(DockerfileError::SecretWithoutId);
        }
        let variable = self.value("env").map(str::to_owned);
        Ok(RunMountKind::Secret { id: id.to_owned(), required, variable, access: self.access(0o400)? })
    }

    /// The value of a key that is not empty.
    fn value(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.pairs.iter().find(|(known, _)| *known == key)?;
        value.filter(|value| !value.is_empty())
    }

    fn switch(&self, key: &'static str) -> Result<Option<bool>, DockerfileError> {
        let found = self.pairs.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| switch(key, *value)).transpose()
    }

    /// Whether files are mounted read-only: the last option counts.
    fn is_read_only(&self) -> Result<bool, DockerfileError> {
        let (read_only, writable) = (self.switch("ro")?, self.switch("rw")?.map(|writable| !writable));
        let last = self.pairs.iter().rev().find(|(key, _)| matches!(*key, "ro" | "rw"));
        let said = last.and_then(|(key, _)| if *key == "ro" { read_only } else { writable });
        Ok(said.unwrap_or(true))
    }

    fn sharing(&self) -> Result<Sharing, DockerfileError> {
        self.value("sharing").map_or(Ok(Sharing::Shared), sharing)
    }

    fn access(&self, mode: u32) -> Result<Access, DockerfileError> {
        let number = |key| self.value(key).map_or(Ok(0), |text| number(key, text));
        let mode = self.value("mode").map_or(Ok(mode), bits)?;
        Ok(Access { mode, user: number("uid")?, group: number("gid")? })
    }

    fn size(&self) -> Result<Option<u64>, DockerfileError> {
        self.value("size").map(size).transpose()
    }
}

/// Refuses a value that its key does not have, also where another one of the key follows, which counts.
fn check_value(key: &'static str, value: Option<&str>) -> Result<(), DockerfileError> {
    if matches!(key, "ro" | "rw" | "required") {
        return switch(key, value).map(drop);
    }
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
    match key {
        "type" if !KEYS[0].1.contains(&value) => Err(DockerfileError::MountType(value.to_owned())),
        "sharing" => sharing(value).map(drop),
        "mode" => bits(value).map(drop),
        "uid" | "gid" => number(key, value).map(drop),
        "size" => size(value).map(drop),
        _ => Ok(()),
    }
}

fn switch(key: &'static str, value: Option<&str>) -> Result<bool, DockerfileError> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(invalid(key, other)),
    }
}

fn sharing(text: &str) -> Result<Sharing, DockerfileError> {
    match text {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        other => Err(invalid("sharing", other)),
    }
}

/// Permissions in octal digits.
fn bits(text: &str) -> Result<u32, DockerfileError> {
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
    bits.ok_or_else(|| invalid("mode", text))
}

fn number(key: &'static str, text: &str) -> Result<u32, DockerfileError> {
    text.parse().map_err(|_| invalid(key, text))
}

/// Bytes: a number with `b`, `k`, `m`, `g` or `t` behind it.
fn size(text: &str) -> Result<u64, DockerfileError> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = split_binary_unit(&lower).ok_or_else(|| invalid("size", text))?;
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| invalid("size", text))
}

fn invalid(key: &'static str, value: &str) -> DockerfileError {
    DockerfileError::MountValue { key, value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_their_defaults() {
        let parsed = |text| RunMount::parse(text).expect(text);
        let bind = parsed("target=/x");
        assert!(bind.read_only);
        assert_eq!(bind.kind, RunMountKind::Bind { from: None, source: String::new() });
        assert!(!parsed("type=bind,dst=x,from=a,src=/s,rw").read_only);
        assert!(!parsed("target=x,readonly=false").read_only);
        let RunMountKind::Cache { id, sharing, access, .. } = parsed("type=cache,target=/c").kind else {
            panic!("no cache")
        };
        assert_eq!((id.as_str(), sharing, access), ("/c", Sharing::Shared, None));
        let RunMountKind::Cache { access, .. } = parsed("type=cache,target=/c,uid=0").kind else {
            panic!("no cache")
        };
        assert_eq!(access, Some(Access::CACHE));
        assert!(parsed("rw,ro,target=/x").read_only && !parsed("ro,rw,target=/x").read_only);
        let twice = parsed("type=cache,type=bind,target=/x,from=a,dst=/y,from=b");
        assert_eq!(twice.target, "/y");
        assert_eq!(twice.kind, RunMountKind::Bind { from: Some("b".to_owned()), source: String::new() });
        let secret = parsed("type=secret,target=/a/token,env=T,required,mode=0440,uid=7").kind;
        let access = Access { mode: 0o440, user: 7, group: 0 };
        let variable = Some("T".to_owned());
        assert_eq!(secret, RunMountKind::Secret { id: "token".to_owned(), required: true, variable, access });
        assert_eq!(
            parsed("type=tmpfs,target=/t,size=64m").kind,
            RunMountKind::Tmpfs { size: Some(64 << 20) }
        );
        let RunMountKind::Ssh { id, .. } = parsed("type=ssh").kind else { panic!("no ssh") };
        assert_eq!(id, "default");
    }

    #[test]
    fn wrong_keys_and_values_are_named() {
        for (text, want) in [
            (
                "type=nfs,target=/x",
                "unsupported mount type \"nfs\": bind, cache, tmpfs, secret and ssh are known",
            ),
            ("type=bind", "a bind mount needs a target"),
            ("type=cache,id=x", "a cache mount needs a target"),
            ("", "unexpected key '' in ''"),
            ("type=bind,target=/x,color=red", "unexpected key 'color' in 'color=red'"),
            ("type=bind,target", "invalid field 'target' must be a key=value pair"),
            ("type=bind,target=/x,sharing=locked", "the key 'sharing' does not belong to a bind mount"),
            ("type=cache,target=/x,sharing=maybe", "invalid value 'maybe' of the mount's key 'sharing'"),
            ("type=cache,target=/x,mode=9", "invalid value '9' of the mount's key 'mode'"),
            ("type=secret,id=x,uid=a", "invalid value 'a' of the mount's key 'uid'"),
            ("type=secret,id=x,required=perhaps", "invalid value 'perhaps' of the mount's key 'required'"),
            ("type=secret", "a secret mount needs an id or a target"),
            ("type=cache,target=/x,mode=9,mode=755", "invalid value '9' of the mount's key 'mode'"),
            ("target=/x,ro=abc,readonly=true", "invalid value 'abc' of the mount's key 'ro'"),
            ("type=ssh,required=abc,required", "invalid value 'abc' of the mount's key 'required'"),
            (
                "type=nfs,type=cache,target=/x",
                "unsupported mount type \"nfs\": bind, cache, tmpfs, secret and ssh are known",
            ),
            ("type=tmpfs,target=/x,size=1q", "invalid value '1q' of the mount's key 'size'"),
            (
                "type=tmpfs,target=/x,size=99999999999t",
                "invalid value '99999999999t' of the mount's key 'size'",
            ),
        ] {
            assert_eq!(RunMount::parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }
}
