//! Results as a directory of the client: the files of the images, read from archives of them on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::images;
use engine::images::registry::Platform;
use tar::{Archive, Entry, EntryType};

use super::archive::write_files;
use super::result::PlatformFiles;
use crate::build::Build;
use crate::go_mode;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::session::{Directory, send_directory};
use buildkit_messages::file_sync::Stat;

/// One piece of a file.
const PIECE: u64 = 32 * 1024;

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
        let (store, directory) = (parts.engine.images.store().clone(), parts.directory.clone());
        let work = tokio::task::spawn_blocking(move || Files::read(&store, &files, &directory));
        let files = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))??;
        send_directory(&session, exporter, &files).await
    };
    let sent = sent.await;
    if let Ok(bytes) = &sent {
        part.advance(*bytes);
        part.complete();
    }
    step.conclude(sent).map(drop)
}

/// The files of images in archives, and where each is in them.
#[derive(Debug, Default)]
struct Files {
    archives: Vec<File>,
    entries: Vec<Stat>,
    /// By the entries' numbers.
    contents: Vec<ContentPlace>,
}

/// Where a content is: in which archive, and which bytes of it.
#[derive(Debug, Clone, Copy)]
struct ContentPlace {
    archive: usize,
    offset: u64,
    size: u64,
}

/// Entries by their paths: in the order of a walk, which is the one that clients want.
type Found = BTreeMap<PathBuf, (Stat, ContentPlace)>;

impl Files {
    fn read(store: &images::Store, images: &[PlatformFiles], directory: &Path) -> Result<Self, Status> {
        let unread =
            |error: io::Error| Status::new(Code::Internal, format!("cannot read the image: {error}"));
        let (mut files, mut found) = (Self::default(), Found::new());
        for image in images {
            for (path, (stat, content)) in files.add(store, image, directory).map_err(unread)? {
                let is_directory = |stat: &Stat| stat.mode & go_mode::DIRECTORY != 0;
                if let Some((before, place)) = found.get(&path)
                    && !(is_directory(&stat) && is_directory(before))
                {
                    // Each image has one archive.
                    return Err(overwritten(&path, &images[place.archive].platform, &image.platform));
                }
                found.insert(path, (stat, content));
            }
        }
        (files.entries, files.contents) = found.into_values().unzip();
        Ok(files)
    }

    /// Writes an image's archive; gives its entries.
    fn add(&mut self, store: &images::Store, image: &PlatformFiles, directory: &Path) -> io::Result<Found> {
        let mut archive = temporary_file(directory)?;
        let mut out = BufWriter::new(&mut archive);
        write_files(store, &image.files, directory, &mut out).map_err(io::Error::other)?;
        out.flush()?;
        drop(out);
        archive.rewind()?;
        let number = self.archives.len();
        let top = image.directory.as_deref().map(Path::new);
        let within = |path: PathBuf| top.map_or_else(|| path.clone(), |top| top.join(&path));
        let mut found = Found::new();
        if let Some(top) = top {
            let content = ContentPlace { archive: number, offset: 0, size: 0 };
            found.insert(top.to_owned(), (directory_stat(top), content));
        }
        for entry in Archive::new(&archive).entries()? {
            let entry = entry?;
            if let Some(path) = plain(&entry.path()?).map(within) {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                let stat = stat(&path, &entry, &within)?;
                found.insert(path, (stat, ContentPlace { archive: number, offset, size }));
            }
        }
        self.archives.push(archive);
        Ok(found)
    }
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

/// A file without a name.
fn temporary_file(directory: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// An entry's path without the root; none for the root itself.
fn plain(path: &Path) -> Option<PathBuf> {
    let names = path.components().filter(|component| matches!(component, Component::Normal(_)));
    Some(names.collect::<PathBuf>()).filter(|path| !path.as_os_str().is_empty())
}

/// An entry's description in the words of packets; `within` gives paths of the archive their place.
fn stat(path: &Path, entry: &Entry<'_, &File>, within: &dyn Fn(PathBuf) -> PathBuf) -> io::Result<Stat> {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Directory => go_mode::DIRECTORY,
        EntryType::Symlink => go_mode::SYMLINK,
        EntryType::Fifo => go_mode::FIFO,
        EntryType::Block => go_mode::DEVICE,
        EntryType::Char => go_mode::DEVICE | go_mode::CHARACTER_DEVICE,
        _ => 0,
    };
    let link = entry.link_name()?.map(|link| link.into_owned());
    let link = match (link, header.entry_type()) {
        (Some(link), EntryType::Link) => plain(&link).map(within).unwrap_or_default(),
        (link, _) => link.unwrap_or_default(),
    };
    let number = |value: Option<u32>| value.map(i64::from).unwrap_or_default();
    Ok(Stat {
        path: path.as_os_str().as_bytes().to_vec(),
        mode: go_mode::of_permissions(header.mode()?) | kind,
        user: u32::try_from(header.uid()?).unwrap_or_default(),
        group: u32::try_from(header.gid()?).unwrap_or_default(),
        size: i64::try_from(entry.size()).unwrap_or(i64::MAX),
        modified: i64::try_from(header.mtime()?).unwrap_or_default().saturating_mul(1_000_000_000),
        link: link.into_os_string().into_vec(),
        device_major: number(header.device_major()?),
        device_minor: number(header.device_minor()?),
        attributes: std::collections::HashMap::new(),
    })
}

impl Directory for Files {
    fn entries(&self) -> &[Stat] {
        &self.entries
    }

    fn piece(&self, number: usize, offset: u64) -> io::Result<Bytes> {
        let Some(content) = self.contents.get(number) else { return Ok(Bytes::new()) };
        let Some(archive) = self.archives.get(content.archive) else { return Ok(Bytes::new()) };
        let length = content.size.saturating_sub(offset).min(PIECE);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        archive.read_exact_at(&mut piece, content.offset + offset)?;
        Ok(piece.into())
    }
}
