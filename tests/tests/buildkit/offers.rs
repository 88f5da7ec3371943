//! The directories that a client offers: honest ones, and such as no honest client has.

use std::collections::HashMap;

use buildkit_messages::file_sync::{Packet, Stat};
use buildkit_messages::policy::{CheckPolicyRequest, CheckPolicyResponse};
use bytes::Bytes;

use crate::content_store::ContentStore;

pub(crate) const DIRECTORY: u32 = 1 << 31;
pub(crate) const SYMLINK: u32 = 1 << 27;

/// A directory as packets: entries in their order, and the content for each request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    pub(crate) stats: Vec<Stat>,
    /// The chunks by the entry's number; the end of a content is sent behind them.
    pub(crate) contents: HashMap<u32, Vec<Bytes>>,
    /// Whether further entries are sent for ever.
    pub(crate) endless: bool,
    /// Whether requested contents never come.
    pub(crate) stalls: bool,
    /// Sent instead of all that, whatever is requested.
    pub(crate) script: Option<Script>,
}

/// Packets, and what comes behind them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) packets: Vec<Packet>,
    pub(crate) end: End,
}

/// What comes behind what a peer sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// The end of the call.
    #[default]
    Closes,
    /// The last chunk again, for ever.
    Repeats,
}

/// A blob of a layout, in chunks.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfferedBlob {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) end: End,
}

impl Offer {
    /// An honest directory of files; parents are made, and all is put into the order of a walk.
    pub(crate) fn of(files: &[(&str, &[u8])]) -> Self {
        let mut paths: Vec<(String, Option<&[u8]>)> = Vec::new();
        for (path, content) in files {
            let mut parent = String::new();
            for name in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
                parent = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
                if !paths.iter().any(|(known, _)| *known == parent) {
                    paths.push((parent.clone(), None));
                }
            }
            paths.push(((*path).to_owned(), Some(*content)));
        }
        paths.sort_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
        let mut offer = Self::default();
        for (path, content) in paths {
            match content {
                None => offer
                    .add(Stat { path: path.into_bytes(), mode: DIRECTORY | 0o755, ..Stat::default() }, &[]),
                Some(content) => {
                    let size = i64::try_from(content.len()).expect("a size");
                    // The same content is the same file at the same time.
                    let modified = 1_700_000_000_000_000_000 + size;
                    offer.add(
                        Stat { path: path.into_bytes(), mode: 0o644, size, modified, ..Stat::default() },
                        content,
                    );
                }
            }
        }
        offer
    }

    /// Adds an entry with its content.
    pub(crate) fn add(&mut self, stat: Stat, content: &[u8]) {
        let number = u32::try_from(self.stats.len()).expect("a number");
        self.stats.push(stat);
        self.contents.insert(number, content.chunks(32 * 1024).map(Bytes::copy_from_slice).collect());
    }

    /// Only what lies at these paths, or all without paths; as links are not followed, a directory with links is
    /// offered whole.
    pub(crate) fn at(&self, paths: &[String]) -> Self {
        let is_link = |stat: &Stat| stat.mode & SYMLINK != 0 && stat.mode & DIRECTORY == 0;
        if paths.is_empty() || self.stats.iter().any(|stat| is_link(stat) || !stat.link.is_empty()) {
            return self.clone();
        }
        let is_in = |path: &str, top: &str| path == top || path.starts_with(&format!("{top}/"));
        let mut kept = Self { endless: self.endless, stalls: self.stalls, ..Self::default() };
        for (number, stat) in (0_u32..).zip(&self.stats) {
            let path = String::from_utf8_lossy(&stat.path).into_owned();
            if paths.iter().any(|top| is_in(&path, top) || is_in(top, &path)) {
                let next = u32::try_from(kept.stats.len()).expect("a number");
                kept.stats.push(stat.clone());
                if let Some(content) = self.contents.get(&number) {
                    kept.contents.insert(next, content.clone());
                }
            }
        }
        kept
    }

    /// Only the entries of these paths, and what links among them lead to.
    pub(crate) fn only(&self, paths: &[String]) -> Self {
        let links = self.stats.iter().filter(|stat| stat.mode & SYMLINK != 0 && stat.mode & DIRECTORY == 0);
        let links = links.filter(|stat| paths.iter().any(|path| path.as_bytes() == stat.path));
        let targets: Vec<&[u8]> = links.map(|stat| stat.link.as_slice()).collect();
        let mut kept = Self { endless: self.endless, stalls: self.stalls, ..Self::default() };
        for (number, stat) in (0_u32..).zip(&self.stats) {
            if paths.iter().any(|path| path.as_bytes() == stat.path)
                || targets.contains(&stat.path.as_slice())
            {
                let content: Vec<u8> =
                    self.contents.get(&number).into_iter().flatten().flatten().copied().collect();
                kept.add(stat.clone(), &content);
            }
        }
        kept
    }
}

/// All directories of a client by their names, its secrets, its stores, and whether it has an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    pub(crate) directories: HashMap<String, Offer>,
    pub(crate) secrets: HashMap<String, Vec<u8>>,
    pub(crate) has_agent: bool,
    /// Whether what exporters send is never read.
    pub(crate) ignores_exports: bool,
    /// The blobs of its layouts by their digests.
    pub(crate) layouts: HashMap<String, HashMap<String, OfferedBlob>>,
    /// The chunks of the archive that it has for the context.
    pub(crate) archive: Option<OfferedBlob>,
    /// Its stores of blobs, by their names.
    pub(crate) stores: HashMap<String, ContentStore>,
    /// Its verdicts on sources.
    pub(crate) policy: Option<fn(&CheckPolicyRequest) -> CheckPolicyResponse>,
}

impl Offers {
    /// A Dockerfile and a context.
    pub(crate) fn of(dockerfile: &str, files: &[(&str, &[u8])]) -> Self {
        Self::with(dockerfile, Offer::of(files))
    }

    /// A Dockerfile and any context.
    pub(crate) fn with(dockerfile: &str, context: Offer) -> Self {
        let directories = HashMap::from([
            ("dockerfile".to_owned(), Offer::of(&[("Dockerfile", dockerfile.as_bytes())])),
            ("context".to_owned(), context),
        ]);
        Self { directories, ..Self::default() }
    }
}
