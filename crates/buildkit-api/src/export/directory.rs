//! Results as a directory of the client: the files of the images, read from their layers on request.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use bytes::Bytes;
use engine::builder::{ImageFiles, Inode, Node, NodeKind};
use engine::images;
use engine::images::registry::{Cancellation, Platform};
use engine::sys::memory_budget::{Budget, Reservation};

use super::result::PlatformFiles;
use crate::build::Build;
use crate::go_mode;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::session::{Directory, send_directory};
use buildkit_messages::file_sync::Stat;

/// The memory limit of the entries of all directories that are being sent: a million files with paths of eighty
/// bytes.
const ALL_LIMIT: usize = 512 << 20;
/// The memory of an entry without its path and its attributes, about.
const ENTRY_WEIGHT: usize = 400;

static ENTRIES: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(ALL_LIMIT, 0)));

/// Sends the files of an image.
///
/// # Errors
/// [`Status`] when the image cannot be read, or the client does not take it.
pub(super) async fn export(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    files: Vec<PlatformFiles>,
) -> Result<(), Status> {
    let step = build.progress.start(&format!("export {exporter}"), "exporting to client directory");
    let part = step.part("copying files");
    let sent = async {
        let session = parts.sessions.find(&build.session).await?;
        let (store, cancellation) = (parts.engine.images.store().clone(), build.cancellation().child());
        let work = tokio::task::spawn_blocking(move || Files::read(&store, &files, &cancellation));
        let files = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))??;
        send_directory(&session, exporter, Arc::new(files)).await
    };
    let sent = sent.await;
    if let Ok(bytes) = &sent {
        part.advance(*bytes);
        part.complete();
    }
    step.conclude(sent).map(drop)
}

/// The files of images, and where the content of each is.
#[derive(Debug)]
struct Files {
    entries: Vec<Stat>,
    /// By the entries' numbers.
    contents: Vec<Content>,
    /// The layers, which stay as long as they are read.
    _held: Vec<images::Layer>,
    _weight: Reservation,
}

/// The content of an entry.
#[derive(Debug, Clone)]
enum Content {
    /// Nothing: it is no file, or a further name of one.
    None,
    /// That of a file of a layer.
    File(PathBuf),
    Document(Bytes),
}

/// An entry, and the number of the image that has it.
struct FoundEntry {
    stat: Stat,
    content: Content,
    image: usize,
}

/// Entries by their paths: in the order of a walk, which clients require.
type Found = BTreeMap<PathBuf, FoundEntry>;

/// The walk over one image.
struct Walk<'a> {
    files: &'a ImageFiles,
    /// Its number.
    image: usize,
    /// The directory that it gets of its own.
    top: &'a Path,
    cancellation: &'a Cancellation,
    /// The first names of files that have several.
    names: HashMap<Inode, PathBuf>,
}

impl Files {
    fn read(
        store: &images::Store,
        images: &[PlatformFiles],
        cancellation: &Cancellation,
    ) -> Result<Self, Status> {
        let mut weight = Reservation::new(Arc::clone(&ENTRIES));
        let (mut found, mut held) = (Found::new(), Vec::new());
        for (number, image) in images.iter().enumerate() {
            let layers = store.image(&image.files.image).and_then(|found| store.layers(&found));
            held.extend(layers.map_err(|error| Status::of_kind(error.kind(), error.to_string()))?);
            let files = ImageFiles::open(store, &image.files.image)
                .map_err(|error| Status::of_kind(error.kind(), error.to_string()))?;
            let top = image.directory.as_deref().map(Path::new).unwrap_or(Path::new(""));
            let names = HashMap::new();
            let mut walk = Walk { files: &files, image: number, top, cancellation, names };
            let mut add = |path: PathBuf, entry: FoundEntry| {
                let attributes = entry.stat.attributes.iter();
                let attributes = attributes.map(|(name, value)| name.len() + value.len()).sum::<usize>();
                let size = ENTRY_WEIGHT + 3 * path.as_os_str().len() + entry.stat.link.len() + attributes;
                weight.raise_to(weight.size() + size).map_err(|_| {
                    Status::new(Code::ResourceExhausted, "too many files are being exported at once")
                })?;
                if let Some(before) = found.get(&path)
                    && before.image != number
                    && !(is_directory(&entry.stat) && is_directory(&before.stat))
                {
                    return Err(overwritten(&path, &images[before.image].platform, &image.platform));
                }
                found.insert(path, entry);
                Ok(())
            };
            walk.run(&mut add)?;
            for (name, text) in &image.files.documents {
                add(top.join(name), walk.document(&top.join(name), text))?;
            }
        }
        let (entries, contents) = found.into_values().map(|entry| (entry.stat, entry.content)).unzip();
        Ok(Self { entries, contents, _held: held, _weight: weight })
    }
}

impl Walk<'_> {
    /// Passes every entry to `add`, however deep it is, in the order in which they are sent: a link comes behind its target.
    fn run(&mut self, add: &mut dyn FnMut(PathBuf, FoundEntry) -> Result<(), Status>) -> Result<(), Status> {
        if !self.top.as_os_str().is_empty() {
            let stat = directory_stat(self.top);
            add(self.top.to_owned(), FoundEntry { stat, content: Content::None, image: self.image })?;
        }
        let unread = |error: engine::builder::TreeError| {
            Status::new(Code::Internal, format!("cannot read the image: {error}"))
        };
        let files = self.files;
        let below = |directory: &Path| -> Result<Vec<PathBuf>, Status> {
            let names = files.names_in(directory).map_err(unread)?;
            let mut paths: Vec<PathBuf> = names.into_iter().map(|name| directory.join(name)).collect();
            // The last is taken first.
            paths.sort_unstable_by(|one, other| other.cmp(one));
            Ok(paths)
        };
        let mut waiting = below(Path::new(""))?;
        while let Some(path) = waiting.pop() {
            if self.cancellation.is_cancelled() {
                return Err(Status::cancelled());
            }
            let Some((node, location)) = files.node_at(&path).map_err(unread)? else { continue };
            let entry = self.entry(&path, &node, location);
            if node.kind == NodeKind::Directory {
                waiting.extend(below(&path)?);
            }
            add(self.top.join(path), entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, node: &Node, location: Option<PathBuf>) -> FoundEntry {
        let own = self.top.join(path);
        let shared = node.shared.filter(|_| matches!(node.kind, NodeKind::File { .. }));
        let first = shared.map(|inode| self.names.entry(inode).or_insert_with(|| own.clone()).clone());
        let mut stat = stat(&own, node);
        let mut content = location.map_or(Content::None, Content::File);
        if let Some(first) = first.filter(|first| *first != own) {
            (stat.link, stat.size, content) = (first.into_os_string().into_vec(), 0, Content::None);
        }
        FoundEntry { stat, content, image: self.image }
    }

    /// The files in addition to those of the image.
    fn document(&self, path: &Path, text: &[u8]) -> FoundEntry {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let stat = Stat {
            path: path.as_os_str().as_bytes().to_vec(),
            mode: go_mode::of_permissions(0o644),
            size: i64::try_from(text.len()).unwrap_or(i64::MAX),
            modified: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
            ..Stat::default()
        };
        FoundEntry { stat, content: Content::Document(Bytes::copy_from_slice(text)), image: self.image }
    }
}

const fn is_directory(stat: &Stat) -> bool {
    stat.mode & go_mode::DIRECTORY != 0
}

fn overwritten(path: &Path, one: &Platform, other: &Platform) -> Status {
    let path = path.display();
    let text = format!("cannot overwrite {path} from {one} with {other} when split option is disabled");
    Status::new(Code::Unknown, text)
}

/// The directory of a platform.
fn directory_stat(path: &Path) -> Stat {
    let mode = go_mode::of_permissions(0o755) | go_mode::DIRECTORY;
    Stat { path: path.as_os_str().as_bytes().to_vec(), mode, ..Stat::default() }
}

/// A node in the words of packets.
fn stat(path: &Path, node: &Node) -> Stat {
    let metadata = &node.metadata;
    let modified = metadata.modified.map_or(0, |modified| {
        modified.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(modified.nanoseconds))
    });
    let (size, device, link) = match &node.kind {
        NodeKind::File { size } => (*size, 0, Vec::new()),
        NodeKind::Device { number, .. } => (0, *number, Vec::new()),
        NodeKind::Symlink { target } => (0, 0, target.as_bytes().to_vec()),
        NodeKind::Directory | NodeKind::Fifo => (0, 0, Vec::new()),
    };
    // Names are text in the protocol.
    let attribute =
        |(name, value): &(Vec<u8>, Vec<u8>)| Some((String::from_utf8(name.clone()).ok()?, value.clone()));
    Stat {
        path: path.as_os_str().as_bytes().to_vec(),
        mode: go_mode::of_permissions(metadata.mode) | go_mode::of_kind(&node.kind),
        user: metadata.user,
        group: metadata.group,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modified,
        link,
        device_major: i64::from(rustix::fs::major(device)),
        device_minor: i64::from(rustix::fs::minor(device)),
        attributes: metadata.attributes.iter().filter_map(attribute).collect(),
    }
}

impl Directory for Files {
    fn entries(&self) -> &[Stat] {
        &self.entries
    }

    fn piece(&self, number: usize, offset: u64, length: usize) -> io::Result<Bytes> {
        match self.contents.get(number) {
            None | Some(Content::None) => Ok(Bytes::new()),
            Some(Content::Document(text)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                Ok(text.slice(start..text.len().min(start.saturating_add(length))))
            }
            Some(Content::File(path)) => {
                let file = File::open(path)?;
                let mut piece = vec![0; length];
                let mut filled = 0;
                while filled < length {
                    match file.read_at(&mut piece[filled..], offset + filled as u64)? {
                        0 => break,
                        count => filled += count,
                    }
                }
                piece.truncate(filled);
                Ok(piece.into())
            }
        }
    }
}
