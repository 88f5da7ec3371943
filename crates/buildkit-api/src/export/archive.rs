//! Results as archives that the client gets: of an image, or of its files.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::images::registry::Descriptor;
use engine::images::{self, ArchiveKind, ExportedTree, Packer, Root};
use model::{Timestamp, qualified};

use super::options::ArchiveExport;
use super::result::{AnnotatedImages, BuildOutput, Carrier, NAME, PlatformFiles, described};
use super::writer::{PieceWriter, piece_writer};
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::session::Upload;

/// Sends an image as an archive.
///
/// # Errors
/// [`Status`] when the image cannot be read, or the client does not take it.
pub(super) async fn export_image(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    output: &BuildOutput,
    export: ArchiveExport,
) -> Result<HashMap<String, String>, Status> {
    let ArchiveExport { kind, names, form, annotations, types } = export;
    let AnnotatedImages { built, mut of_root } =
        output.annotated(build, (&annotations, types), Carrier::Archive)?;
    if kind == ArchiveKind::Docker && built.needs_index() {
        let text = "docker exporter does not support exporting manifest lists, use the oci exporter instead";
        return Err(Status::new(Code::Unknown, text));
    }
    let now = Timestamp::now().unix_seconds();
    let now = Timestamp::from_unix(now, 0).unwrap_or(Timestamp::NEVER).to_string();
    of_root.entry(CREATED.to_owned()).or_insert(now);
    let (store, image) = (parts.engine.images.store().clone(), output.main()?);
    let whole: Vec<String> = names.iter().map(|name| qualified(&name.to_string())).collect();
    let cancellation = build.cancellation().child();
    let write = move |out: &mut PieceWriter| -> Result<Option<Descriptor>, Status> {
        let listing = (kind, &of_root);
        let Some(form) = form else {
            let layout = store.layout_of(&built, &image, &names, listing).map_err(unwritten)?;
            layout.write(out).map_err(unwritten)?;
            return Ok(layout.root().cloned());
        };
        let (store, names, cancellation) = (&store, &names, &cancellation);
        let packer = Packer { store, form, root: Root::Manifest, names, cancellation };
        Ok(Some(packer.write_archive(&built, &image, listing, out)?))
    };
    let root = send(parts, build, exporter, title(kind), write).await?;
    let mut response = root.as_ref().map(described).transpose()?.unwrap_or_default();
    response.extend(output.config());
    if !whole.is_empty() {
        response.insert(NAME.to_owned(), whole.join(","));
    }
    Ok(response)
}

/// When what a layout lists was made (OCI image specification, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

const fn title(kind: ArchiveKind) -> &'static str {
    match kind {
        ArchiveKind::Docker => "exporting to docker image format",
        ArchiveKind::Oci => "exporting to oci image format",
    }
}

fn unwritten(error: images::Error) -> Status {
    Status::of_kind(error.kind(), error.to_string())
}

/// Sends the files of images as an archive.
///
/// # Errors
/// [`Status`] when an image cannot be read, or the client does not take it.
pub(super) async fn export_files(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    files: Vec<PlatformFiles>,
) -> Result<(), Status> {
    let (store, directory) = (parts.engine.images.store().clone(), parts.directory.clone());
    let write = move |out: &mut PieceWriter| write_files(&store, &files, &directory, out).map_err(unwritten);
    send(parts, build, exporter, "exporting to client tarball", write).await
}

/// Writes the files of images, all layers of each seen as one, as an archive; documents are written in `directory` first.
fn write_files(
    store: &images::Store,
    files: &[PlatformFiles],
    directory: &Path,
    out: &mut dyn Write,
) -> Result<(), images::Error> {
    // Held, so that no layer goes while it is read.
    let (mut held, mut trees) = (Vec::new(), Vec::new());
    for PlatformFiles { directory: own, files, .. } in files {
        let layers = store.layers(&store.image(&files.image)?)?;
        let documents = Documents::write(&files.documents, directory)?;
        let below = layers.iter().rev().flat_map(images::Layer::directories);
        let above = documents.iter().map(|documents| documents.0.clone());
        trees.push(ExportedTree { directory: own.clone(), layers: above.chain(below).collect() });
        held.push((layers, documents));
    }
    images::export_trees(&trees, out).map(drop)
}

/// A directory of documents, used as the topmost layer; it is removed with this.
struct Documents(PathBuf);

impl Documents {
    fn write(documents: &[(String, Vec<u8>)], directory: &Path) -> Result<Option<Self>, images::Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if documents.is_empty() {
            return Ok(None);
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("export-{number}"));
        // Its files would be the client's: existing ones are never replaced.
        std::fs::create_dir(&path).map_err(images::Error::Output)?;
        let made = Self(path);
        let mut documents = documents.iter();
        documents
            .try_for_each(|(name, text)| std::fs::write(made.0.join(name), text))
            .map_err(images::Error::Output)?;
        Ok(Some(made))
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "cannot remove documents of an export");
        }
    }
}

async fn send<T: Send + 'static>(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    title: &str,
    write: impl FnOnce(&mut PieceWriter) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let step = build.progress.start(&format!("export {exporter}"), title);
    let part = step.part("sending tarball");
    let sent = async {
        let session = parts.sessions.find(&build.session).await?;
        let mut upload = Upload::open(&session, exporter).await?;
        let (mut writer, mut pieces) = piece_writer();
        let work = tokio::task::spawn_blocking(move || {
            let written = write(&mut writer)?;
            // A client that is gone is noticed where its data is sent.
            let _ = writer.flush();
            Ok::<T, Status>(written)
        });
        let mut sent = 0;
        while let Some(piece) = pieces.recv().await {
            sent += piece.len() as u64;
            upload.send(piece).await?;
            part.advance(sent);
        }
        let written = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        let written = written?;
        upload.finish().await?;
        Ok(written)
    };
    let sent = sent.await;
    if sent.is_ok() {
        part.complete();
    }
    step.conclude(sent)
}
