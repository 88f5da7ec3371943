//! The errors of a Dockerfile, with the texts that users expect.

use model::ErrorKind;

/// Each instruction makes an image whose history holds all those before it.
pub(crate) const INSTRUCTION_LIMIT: usize = 2000;

/// Why a Dockerfile is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum DockerfileError {
    #[error("No image was generated. Is your Dockerfile empty?")]
    NoInstruction,
    #[error("the Dockerfile is empty: file with no instructions")]
    Empty,
    #[error("the Dockerfile is an empty file")]
    NoText,
    #[error("the Dockerfile has more than {} instructions", INSTRUCTION_LIMIT)]
    TooManyInstructions,
    #[error("variables put more than {0} bytes into the words of a build stage")]
    TooMuchSubstituted(usize),
    #[error("an image has no more than {0} environment variables")]
    TooManyVariables(usize),
    #[error("EXPOSE names more than {0} ports")]
    TooManyPorts(usize),
    #[error("dockerfile parse error on line {number}: {error}")]
    Line { number: usize, error: Box<DockerfileError> },
    #[error("Unknown instruction: {0}")]
    UnknownInstruction(String),
    #[error("Unknown flag: {name}")]
    UnknownFlag { name: String, nearest: Option<&'static str> },
    #[error("Missing a value on flag: {0}")]
    FlagWithoutValue(String),
    #[error("Duplicate flag specified: {0}")]
    DuplicateFlag(String),
    #[error("{0} requires {1}")]
    Arguments(String, &'static str),
    #[error("{0} must have two arguments")]
    TwoArguments(&'static str),
    #[error("Syntax error - can't find = in {0:?}. Must be of the form: name=value")]
    NoEqualsSign(String),
    #[error("When using JSON array syntax, arrays must be comprised of strings only.")]
    JsonNotStrings,
    #[error("No command specified")]
    NoCommand,
    #[error("Please provide a source image with `from` prior to {0}")]
    NoSourceImage(&'static str),
    #[error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    ChainedTrigger,
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    ForbiddenTrigger(String),
    #[error("Volume specified can not be an empty string")]
    EmptyVolume,
    #[error("variables are not put into --from={0}: begin a stage with FROM and a global ARG instead")]
    VariableFrom(String),
    #[error("Source can't be a URL for COPY")]
    CopyUrl,
    #[error(
        "When using {0} with more than one source file, the destination must be a directory and end with a /"
    )]
    DestinationNotDirectory(&'static str),
    #[error("Invalid containerPort: {0}")]
    Port(String),
    #[error("Invalid proto: {0}")]
    Protocol(String),
    #[error("substitutions are nested more than {0} deep")]
    SubstitutionDepth(usize),
    #[error("Missing ':' in substitution: {word}")]
    SubstitutionColon { word: String, operator: Option<char> },
    #[error("a substitution has no name: {0}")]
    SubstitutionName(String),
    #[error("Unsupported modifier ({modifier}) in substitution: {word}")]
    SubstitutionModifier { modifier: char, word: String },
    #[error("SHELL requires the arguments to be in JSON form")]
    ShellNotJson,
    #[error("Unknown type {0:?} in HEALTHCHECK (try CMD)")]
    HealthCheckType(String),
    #[error("Missing command after HEALTHCHECK CMD")]
    HealthCheckCommand,
    #[error("invalid value {value:?} of the HEALTHCHECK flag --{flag}")]
    HealthCheckFlag { flag: &'static str, value: String },
    #[error("Invalid signal: {0}")]
    Signal(String),
    #[error("invalid name for build stage: {0:?}, name can't start with a number or contain symbols")]
    StageName(String),
    #[error("invalid escape token {0:?}: want \\ or `")]
    EscapeToken(String),
    #[error("{name}: {message}")]
    Required { name: String, message: String, word: String },
    #[error("a substitution compares too many characters")]
    SubstitutionWork,
    #[error("expecting boolean value for flag {flag}, not: {value:?}")]
    Switch { flag: &'static str, value: String },
    #[error("unsupported mount type {0:?}: bind, cache, tmpfs, secret and ssh are known")]
    MountType(String),
    #[error("unexpected key '{key}' in '{field}'")]
    UnknownMountKey { key: String, field: String },
    #[error("invalid field '{0}' must be a key=value pair")]
    MountField(String),
    #[error("the key '{key}' does not belong to a {kind} mount")]
    MountKey { key: String, kind: String },
    #[error("invalid value '{value}' of the mount's key '{key}'")]
    MountValue { key: &'static str, value: String },
    #[error("a {0} mount needs a target")]
    MountWithoutTarget(String),
    #[error("a secret mount needs an id or a target")]
    SecretWithoutId,
    #[error("a RUN has no more than {0} mounts")]
    TooManyMounts(usize),
    #[error("unsupported network mode {0:?}: default, none and host are known")]
    RunNetwork(String),
    #[error("security mode insecure is not allowed: no build runs a command with all rights of the host")]
    InsecureRun,
    #[error("unsupported security mode {0:?}: sandbox is known")]
    RunSecurity(String),
    #[error("invalid permissions {0:?}: octal digits, or changes as u=rwX,go=rX")]
    Permissions(String),
    #[error("--checksum is that of one source")]
    ChecksumOfSeveral,
    #[error("--checksum is that of an address or a repository, not of a file of the context")]
    ChecksumOfFile,
    #[error("invalid checksum {0:?}: sha256: and 64 hexadecimal digits, or a commit")]
    Checksum(String),
    #[error("invalid pattern of --exclude: {0}")]
    Exclude(#[from] crate::pattern::PatternError),
    #[error("{0} names can not be blank")]
    BlankName(&'static str),
    #[error("invalid platform of FROM: {0}")]
    Platform(#[from] images::registry::PlatformError),
    #[error("{0}")]
    ImageName(#[from] model::ReferenceError),
    #[error("failed to parse stage name {name:?}: {source}")]
    StageImage { name: String, source: model::ReferenceError },
    #[error("failed to process {word:?}: unexpected end of statement while looking for matching {quote}")]
    UnclosedQuote { word: String, quote: &'static str },
    #[error("invalid SOURCE_DATE_EPOCH {0:?}: it is seconds since 1970")]
    Epoch(String),
    #[error("unterminated heredoc: no line ends <<{0}")]
    UnterminatedDocument(String),
    #[error("failed to parse {place}: {fault}")]
    CheckOptions { place: &'static str, fault: String },
    #[error("base name ({0}) should not be blank")]
    BlankBase(String),
    #[error("failed to reach build target {name} in Dockerfile")]
    Target { name: String, nearest: Option<String> },
}

impl DockerfileError {
    /// The kind of failure: a build that is refused.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
