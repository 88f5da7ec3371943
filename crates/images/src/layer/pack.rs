//! Packs a directory in overlay's form into a layer's tar, hashes and records it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::Digest;

use super::prefix::PrefixHash;
use super::{ASSEMBLY, DIFF, HashedPrefixes, HashingWriter};
use crate::Error;
use crate::assembly::AssemblyWriter;
use crate::tree::{Form, KnownFiles, Output, Packer, ReservedName, Stack};

/// A layer whose tar was packed and hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    pub(crate) tar_size: u64,
}

/// Makes the other parts of a layer, without its files.
///
/// # Errors
/// `Internal` when it cannot be made.
pub(crate) fn prepare(place: &Path) -> Result<(), Error> {
    let path = place.join(ASSEMBLY);
    sys::private::create(&path).map(drop).map_err(Error::file("make", &path))
}

/// Packs the layer at `place`, whose files are there already, and records its tar. `below` are
/// the layers below, topmost first.
///
/// # Errors
/// `Internal` when it cannot be read or recorded.
pub(crate) fn pack(place: &Path, below: Stack) -> Result<Packed, Error> {
    let mut out = HashingWriter::new(io::sink());
    let packed = pack_recorded(place, below, &mut out, None);
    let finished = packed.and_then(|size| Ok((size, out.finish()?)));
    let (size, (diff_id, tar_size)) = finished.map_err(failed(place))?;
    Ok(Packed { diff_id, size, tar_size })
}

/// Packs the layer at `place` as [`pack`] does, with the contents of some files read from elsewhere, and those that another
/// layer lends as if they were there. The states of that layer's hash, and of those of similar layers, may be recorded; those
/// of this one are returned.
///
/// # Errors
/// `Internal` when it cannot be read or recorded.
pub(crate) fn pack_known(
    place: &Path,
    below: Stack,
    before: &[&HashedPrefixes],
    files: KnownFiles<'_>,
) -> Result<(Packed, HashedPrefixes), Error> {
    let mut out = PrefixHash::new(before, files.reader());
    let packed = pack_recorded(place, below, &mut out, Some(files));
    let finished = packed.and_then(|size| Ok((size, out.finish()?)));
    let (size, (diff_id, tar_size, prefixes)) = finished.map_err(failed(place))?;
    Ok((Packed { diff_id, size, tar_size }, prefixes))
}

/// A name that no layer can hold is the user's; whatever else fails is the store's.
fn failed(place: &Path) -> impl FnOnce(io::Error) -> Error {
    let place = place.to_owned();
    move |error| match error.downcast::<ReservedName>() {
        Ok(reserved) => Error::ReservedName(reserved),
        Err(source) => Error::file("pack the layer", place)(source),
    }
}

/// Packs a layer; returns the bytes of its files.
fn pack_recorded(
    place: &Path,
    below: Stack,
    out: &mut dyn Output,
    known: Option<KnownFiles<'_>>,
) -> io::Result<u64> {
    let mut assembly = AssemblyWriter::create(&place.join(ASSEMBLY))?;
    let packer = Packer::new(out, Form::Difference, Some(&mut assembly)).reading_ahead();
    let mut packer = match known {
        Some(files) => packer.knowing(files),
        None => packer,
    };
    packer.directory(Stack::open(&[place.join(DIFF)])?, below, b"")?;
    let (size, _) = packer.finish()?;
    assembly.finish()?;
    Ok(size)
}

/// Packs a directory in overlay's form as a layer's tar, without what only serves for mounts.
///
/// # Errors
/// `Internal` when it cannot be read or `out` fails.
pub(crate) fn pack_tar(
    upper: &Path,
    below: Stack,
    mount_points: &[PathBuf],
    mut out: impl Write,
) -> Result<(), Error> {
    let packed = Stack::open(&[upper]).and_then(|stack| {
        let mut packer = Packer::new(&mut out, Form::Difference, None).without_mount_points(mount_points);
        packer.directory(stack, below, b"")?;
        packer.finish()
    });
    packed.map(drop).map_err(failed(upper))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::store::digest_of;

    #[test]
    fn a_layer_is_packed_the_same_whether_or_not_its_files_are_read_ahead() {
        let place = std::env::temp_dir().join(format!("berth-packed-{}", std::process::id()));
        let diff = place.join(DIFF);
        fs::create_dir_all(diff.join("c/d")).expect("directories");
        for number in 0..300_usize {
            let directory = diff.join(["", "c", "c/d"][number % 3]);
            fs::write(directory.join(format!("f{number}")), vec![b'x'; number * number]).expect("a file");
        }
        // Among the small files: others, and those with several names.
        fs::hard_link(diff.join("f0"), diff.join("a link to nothing in it")).expect("a link");
        fs::hard_link(diff.join("f3"), diff.join("f3 again")).expect("a link");
        std::os::unix::fs::symlink("f6", diff.join("f5 is elsewhere")).expect("a symlink");
        File::create(diff.join("f7 is a hole")).and_then(|file| file.set_len(1 << 20)).expect("a hole");
        rustix::fs::lsetxattr(diff.join("f9"), "user.note", b"hello", rustix::fs::XattrFlags::empty())
            .expect("an attribute");
        let mut plain = Vec::new();
        pack_tar(&diff, Stack(Vec::new()), &[], &mut plain).expect("a tar");
        let packed = pack(&place, Stack(Vec::new())).expect("a layer");
        assert_eq!((packed.diff_id, packed.tar_size), (digest_of(&plain), plain.len() as u64));
        let mut again = Vec::new();
        crate::layer::replay(&place, None, &mut again).expect("its tar");
        assert!(again == plain, "the record gives the same tar");
        fs::remove_dir_all(&place).expect("removed");
    }
}
