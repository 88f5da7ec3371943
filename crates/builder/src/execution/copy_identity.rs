//! The names of a copy: its words with variables substituted, for histories and for the cache.

use super::commit::{LayerInputs, Name};
use super::state::Build;
use crate::dockerfile::{DockerfileError, Transfer};
use crate::error::BuildError;
use crate::ignore::IgnorePatterns;
use crate::order::Order;
use crate::tree::Owner;
use crate::wording::Wording;

/// The cache's part of a copy's name that is not in its history: whether files keep their owners.
const KEEPS_OWNERS: &str = "owners kept";

/// The words of COPY or ADD with variables put in.
pub(super) struct Words {
    pub(super) destination: String,
    /// The sources as histories show them.
    pub(super) sources: String,
    pub(super) owner: Option<String>,
    pub(super) mode: Option<String>,
    /// The patterns of what is left out, as they are written.
    pub(super) patterns: Vec<String>,
    pub(super) excludes: Option<IgnorePatterns>,
    pub(super) checksum: Option<String>,
    /// The flags that histories show.
    pub(super) shown_flags: String,
    /// The flags for the cache.
    pub(super) flags: String,
}

/// The destination and owner of the files.
pub(super) struct Place {
    /// An absolute path.
    pub(super) destination: String,
    pub(super) owner: Option<Owner>,
    /// Whether files stay their owners': those of images and stages do, those of contexts are root's.
    pub(super) keeps_owners: bool,
    /// Whether the layers below do not matter.
    pub(super) is_linked: bool,
    /// The differences of the present order from the other one.
    pub(super) own: Vec<&'static str>,
}

/// The properties that identify a copy.
pub(super) struct CopyIdentity<'a> {
    pub(super) transfer: &'a Transfer,
    pub(super) words: &'a Words,
    pub(super) place: &'a Place,
    /// The digest of all that is copied.
    pub(super) worth: &'a str,
}

impl CopyIdentity<'_> {
    /// The copy as the history shows it, and as the cache finds it: by its words, or by what its layer depends on.
    ///
    /// # Errors
    /// [`BuildError`] for a path that is no text, and outside of a stage.
    pub(super) fn name(&self, build: &Build<'_>) -> Result<Name, BuildError> {
        let Self { transfer, words, place, worth } = self;
        let Words { destination, sources, flags, shown_flags, .. } = words;
        let verb = transfer.verb.name();
        let end = if build.work.parameters.wording == Wording::Today { " " } else { "" };
        let mut name = match build.work.parameters.order {
            Order::Written => {
                Name::of(build.no_operation(&format!("{verb} {flags}{worth} in {destination}{end}"))?)
            }
            Order::Graph => {
                let history = format!("{verb} {shown_flags}{sources} {destination} # buildkit");
                let command = vec![history.clone(), format!("{flags}{worth}")];
                Name { command, history: Some(history), inputs: None }
            }
        };
        name.command.extend(place.keeps_owners.then(|| KEEPS_OWNERS.to_owned()));
        name.inputs = Some(self.inputs()?);
        Ok(name)
    }

    fn inputs(&self) -> Result<LayerInputs, BuildError> {
        let Self { transfer, words, place, worth } = self;
        let owner = place.owner.map(|owner| (owner.user, owner.group));
        let form = (&place.destination, names_directory(&words.destination), owner, &words.mode);
        let form = (form, place.keeps_owners, &place.own);
        let flags = (transfer.keeps_parents, transfer.unpacks, &words.patterns);
        let step = serde_json::to_string(&(transfer.verb.name(), worth, form, flags))?;
        Ok(LayerInputs { step, is_placed: !place.is_linked })
    }
}

impl Build<'_> {
    /// Puts variables into the words of COPY or ADD.
    pub(super) fn transfer_words(&self, transfer: &Transfer) -> Result<Words, BuildError> {
        let expand = |word: &Option<String>| word.as_deref().map(|word| self.expand(word)).transpose();
        let (owner, mode) = (expand(&transfer.owner)?, expand(&transfer.mode)?);
        let mode = mode.filter(|mode| !mode.is_empty());
        let checksum = expand(&transfer.checksum)?;
        let sources = transfer.sources.iter().map(|source| self.expand(source));
        let documents = transfer.documents.iter().map(|document| format!("<<{}", document.name));
        let sources: Vec<_> = sources.chain(documents.map(Ok)).collect::<Result<_, _>>()?;
        let patterns = transfer.excludes.iter().map(|pattern| self.expand(pattern));
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let excludes = IgnorePatterns::of(patterns.iter().map(String::as_str));
        let excludes = excludes.map_err(DockerfileError::from)?;
        let mut flags = Vec::new();
        flags.extend(owner.iter().map(|owner| format!("--chown={owner} ")));
        flags.extend(mode.iter().map(|mode| format!("--chmod={mode} ")));
        flags.extend(transfer.keeps_parents.then(|| "--parents ".to_owned()));
        let shown_flags = flags.concat();
        flags.extend(transfer.is_linked.then(|| "--link ".to_owned()));
        flags.extend(patterns.iter().map(|pattern| format!("--exclude={pattern} ")));
        flags.extend(transfer.unpacks.map(|unpacks| format!("--unpack={unpacks} ")));
        flags.extend(transfer.rules.words().map(|word| format!("--{word} ")));
        Ok(Words {
            destination: self.expand(&transfer.destination)?,
            sources: sources.join(" "),
            owner,
            mode,
            excludes: (!patterns.is_empty()).then_some(excludes),
            patterns,
            checksum,
            shown_flags,
            flags: flags.concat(),
        })
    }
}

/// Whether a destination is a directory by its form.
pub(super) fn names_directory(destination: &str) -> bool {
    destination.ends_with('/') || matches!(destination.rsplit('/').next(), Some("." | ".."))
}
