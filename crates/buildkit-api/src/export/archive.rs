//! Results as archives that the client gets: of an image, or of its files.

use std::io::Write;
use std::sync::Arc;

use engine::images;
use model::{Digest, ImageReference};

use super::options::ArchiveKind;
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
    image: Digest,
    (kind, names): (ArchiveKind, Vec<ImageReference>),
) -> Result<(), Status> {
    let store = parts.engine.images.store().clone();
    let write = move |out: &mut PieceWriter| store.layout_of(&image, &names)?.write(out);
    send(parts, build, exporter, kind.title(), write).await
}

/// Sends the files of an image as an archive.
///
/// # Errors
/// [`Status`] when the image cannot be read, or the client does not take it.
pub(super) async fn export_files(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    image: Digest,
) -> Result<(), Status> {
    let store = parts.engine.images.store().clone();
    let write = move |out: &mut PieceWriter| write_files(&store, &image, out);
    send(parts, build, exporter, "exporting to client tarball", write).await
}

/// Writes the files of an image, all layers seen as one, as an archive.
pub(super) fn write_files(
    store: &images::Store,
    image: &Digest,
    out: &mut dyn Write,
) -> Result<(), images::Error> {
    let image = store.image(image)?;
    // Held, so that no layer goes while it is read.
    let layers = store.layers(&image)?;
    let directories: Vec<_> = layers.iter().rev().map(images::Layer::directory).collect();
    images::export(&directories, out).map(drop)
}

async fn send(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    exporter: usize,
    title: &str,
    write: impl FnOnce(&mut PieceWriter) -> Result<(), images::Error> + Send + 'static,
) -> Result<(), Status> {
    let step = build.progress.start(&format!("export {exporter}"), title);
    let part = step.part("sending tarball");
    let sent = async {
        let session = parts.sessions.find(&build.session).await?;
        let mut upload = Upload::open(&session, exporter).await?;
        let (mut writer, mut pieces) = piece_writer();
        let work = tokio::task::spawn_blocking(move || {
            write(&mut writer)?;
            // A client that is gone is noticed where its pieces are sent.
            let _ = writer.flush();
            Ok::<(), images::Error>(())
        });
        let mut sent = 0;
        while let Some(piece) = pieces.recv().await {
            sent += piece.len() as u64;
            upload.send(piece).await?;
            part.advance(sent);
        }
        let written = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        written.map_err(|error| Status::of_kind(error.kind(), error.to_string()))?;
        upload.finish().await
    };
    let sent = sent.await;
    if sent.is_ok() {
        part.complete();
    }
    step.conclude(sent)
}
