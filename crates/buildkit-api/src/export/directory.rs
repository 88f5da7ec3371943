//! Results as a directory of the client: the files of the image, read from an archive of them on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::images;
use tar::{Archive, Entry, EntryType};

use super::archive::write_files;
use super::result::OutputFiles;
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
    files: OutputFiles,
) -> Result<(), Status> {
    let step = build.progress.start(&format!("export {exporter}"), "exporting to client directory");
    let part = step.part("copying files");
    let sent = async {
        let session = parts.sessions.find(&build.session).await?;
        let (store, directory) = (parts.engine.images.store().clone(), parts.directory.clone());
        let work = tokio::task::spawn_blocking(move || Files::read(&store, &files, &directory));
        let files = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        let files =
            files.map_err(|error| Status::new(Code::Internal, format!("cannot read the image: {error}")))?;
        send_directory(&session, exporter, &files).await
    };
    let sent = sent.await;
    if let Ok(bytes) = &sent {
        part.advance(*bytes);
        part.complete();
    }
    step.conclude(sent).map(drop)
}

/// The files of an image in an archive, and where each is in it.
#[derive(Debug)]
struct Files {
    archive: File,
    entries: Vec<Stat>,
    /// Offset and size, by the entries' numbers.
    contents: Vec<(u64, u64)>,
}

impl Files {
    fn read(store: &images::Store, files: &OutputFiles, directory: &Path) -> io::Result<Self> {
        let mut archive = temporary_file(directory)?;
        let mut out = BufWriter::new(&mut archive);
        write_files(store, files, directory, &mut out).map_err(io::Error::other)?;
        out.flush()?;
        drop(out);
        archive.rewind()?;
        let mut found = BTreeMap::new();
        for entry in Archive::new(&archive).entries()? {
            let entry = entry?;
            if let Some(path) = plain(&entry.path()?) {
                let content = (entry.raw_file_position(), entry.size());
                let stat = stat(&path, &entry)?;
                found.insert(path, (stat, content));
            }
        }
        // A map of paths is in the order of a walk, which is the one that clients want.
        let (entries, contents) = found.into_values().unzip();
        Ok(Self { archive, entries, contents })
    }
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

/// An entry's description in the words of packets.
fn stat(path: &Path, entry: &Entry<'_, &File>) -> io::Result<Stat> {
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
        (Some(link), EntryType::Link) => plain(&link).unwrap_or_default(),
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
        let Some((start, size)) = self.contents.get(number) else { return Ok(Bytes::new()) };
        let length = size.saturating_sub(offset).min(PIECE);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        self.archive.read_exact_at(&mut piece, start + offset)?;
        Ok(piece.into())
    }
}
