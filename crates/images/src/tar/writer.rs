//! Writes tar streams: ustar headers, PAX records only for what ustar cannot express.

use std::io::{self, Write};

use super::{BLOCK, Extent, padding};

/// One entry to be written; names are bytes without a leading `/`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member<'a> {
    /// The name; a directory's ends in `/`.
    pub(crate) path: &'a [u8],
    /// The target of a link.
    pub(crate) link: &'a [u8],
    /// The type flag: `0` file, `1` hard link, `2` symlink, `3` and `4` devices, `5` directory, `6` pipe.
    pub(crate) flag: u8,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) user: u32,
    /// The group.
    pub(crate) group: u32,
    /// The owner's name, may be empty.
    pub(crate) user_name: &'a str,
    /// The group's name, may be empty.
    pub(crate) group_name: &'a str,
    /// The content's size, holes included.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds past the second.
    pub(crate) nanoseconds: u32,
    /// Of a device.
    pub(crate) device: (u32, u32),
    /// Extended attributes.
    pub(crate) attributes: &'a [(Vec<u8>, Vec<u8>)],
    /// The extents that have content, where the file is sparse.
    pub(crate) extents: Option<&'a [Extent]>,
}

/// A tar stream being written.
pub(crate) struct Writer<W> {
    out: W,
    scratch: Vec<u8>,
}

/// The largest number that eleven octal digits hold.
const OCTAL_11: u64 = 0o77_777_777_777;
/// The largest number that seven octal digits hold.
const OCTAL_7: u32 = 0o7_777_777;

impl<W: Write> Writer<W> {
    /// Writes to `out`.
    pub(crate) const fn new(out: W) -> Self {
        Self { out, scratch: Vec::new() }
    }

    /// Writes the entry's headers; the caller writes the content (of [`Member::size`], or the extents of a
    /// sparse file) and calls [`Self::pad`].
    ///
    /// # Errors
    /// Whatever the receiver fails with.
    pub(crate) fn header(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.scratch.clear();
        let map = member.extents.map(sparse_map);
        let stored = match (&map, member.extents) {
            (Some(map), Some(extents)) => {
                map.len() as u64 + extents.iter().map(|extent| extent.length).sum::<u64>()
            }
            _ => member.size,
        };
        let (records, name) = extensions(member, stored, map.is_some());
        if !records.is_empty() {
            let name = [b"PaxHeaders.0/", last_component(member.path)].concat();
            let header = Member {
                path: &name,
                flag: b'x',
                mode: 0o644,
                seconds: member.seconds.max(0),
                ..Member::default()
            };
            push_block(&mut self.scratch, &header, cut(&name, 100), b"", records.len() as u64);
            self.scratch.extend_from_slice(&records);
            self.scratch.resize(self.scratch.len() + padding(records.len() as u64), 0);
        }
        let (prefix, name) = split_name(&name).unwrap_or((b"", cut(&name, 100)));
        push_block(&mut self.scratch, member, name, prefix, stored);
        if let Some(map) = map {
            self.scratch.extend_from_slice(&map);
        }
        self.out.write_all(&self.scratch)
    }

    /// Writes a part of the content.
    ///
    /// # Errors
    /// Whatever the receiver fails with.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Fills the last block of a content of `size` bytes.
    ///
    /// # Errors
    /// Whatever the receiver fails with.
    pub(crate) fn pad(&mut self, size: u64) -> io::Result<()> {
        self.out.write_all(&[0; BLOCK][..padding(size)])
    }

    /// Writes a whole small file.
    ///
    /// # Errors
    /// Whatever the receiver fails with.
    pub(crate) fn file(&mut self, member: &Member<'_>, content: &[u8]) -> io::Result<()> {
        self.header(&Member { size: content.len() as u64, ..member.clone() })?;
        self.content(content)?;
        self.pad(content.len() as u64)
    }

    /// Writes the two zero blocks of the end and returns the receiver.
    ///
    /// # Errors
    /// Whatever the receiver fails with.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// The receiver, for a content that goes there by itself.
    pub(crate) const fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives the receiver back without an end.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }
}

/// The PAX records that an entry needs, and the name for its ustar header.
fn extensions(member: &Member<'_>, stored: u64, sparse: bool) -> (Vec<u8>, Vec<u8>) {
    let mut records = Vec::new();
    let mut name = member.path.to_vec();
    let plain = |text: &[u8]| text.is_ascii();
    if sparse {
        push_record(&mut records, b"GNU.sparse.major", b"1");
        push_record(&mut records, b"GNU.sparse.minor", b"0");
        push_record(&mut records, b"GNU.sparse.name", member.path);
        push_record(&mut records, b"GNU.sparse.realsize", member.size.to_string().as_bytes());
        name = [b"GNUSparseFile.0/", cut(last_component(member.path), 80)].concat();
    } else if split_name(member.path).is_none() || !plain(member.path) {
        push_record(&mut records, b"path", member.path);
    }
    if member.link.len() > 100 || !plain(member.link) {
        push_record(&mut records, b"linkpath", member.link);
    }
    if stored > OCTAL_11 {
        push_record(&mut records, b"size", stored.to_string().as_bytes());
    }
    if member.user > OCTAL_7 {
        push_record(&mut records, b"uid", member.user.to_string().as_bytes());
    }
    if member.group > OCTAL_7 {
        push_record(&mut records, b"gid", member.group.to_string().as_bytes());
    }
    let fits = u64::try_from(member.seconds).is_ok_and(|seconds| seconds <= OCTAL_11);
    if member.nanoseconds != 0 || !fits {
        push_record(&mut records, b"mtime", time(member.seconds, member.nanoseconds).as_bytes());
    }
    for (attribute, value) in member.attributes {
        push_record(&mut records, &[b"SCHILY.xattr.", attribute.as_slice()].concat(), value);
    }
    (records, name)
}

/// Decimal seconds with the fraction that is there.
fn time(seconds: i64, nanoseconds: u32) -> String {
    let (sign, seconds, nanoseconds) = match (seconds < 0, nanoseconds) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, _) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        (false, _) => ("", seconds.unsigned_abs(), nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let fraction = format!("{nanoseconds:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
}

/// Appends `LENGTH KEY=VALUE\n`, the length counting its own digits.
fn push_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    loop {
        let wanted = rest + length.to_string().len();
        if wanted == length {
            break;
        }
        length = wanted;
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// The map of a sparse file in version 1.0, padded to whole blocks.
fn sparse_map(extents: &[Extent]) -> Vec<u8> {
    let mut text = format!("{}\n", extents.len());
    for extent in extents {
        text.push_str(&format!("{}\n{}\n", extent.offset, extent.length));
    }
    let mut map = text.into_bytes();
    map.resize(map.len() + padding(map.len() as u64), 0);
    map
}

/// Splits a name into ustar's prefix and name; `None` when it does not fit.
fn split_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let body = path.strip_suffix(b"/").unwrap_or(path);
    let latest = body.len().min(155 + 1);
    let slash = body[..latest].iter().rposition(|byte| *byte == b'/')?;
    let name = &path[slash + 1..];
    (slash <= 155 && slash > 0 && !name.is_empty() && name.len() <= 100).then(|| (&path[..slash], name))
}

fn last_component(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    cut(name, 80)
}

fn cut(text: &[u8], limit: usize) -> &[u8] {
    &text[..text.len().min(limit)]
}

fn push_block(out: &mut Vec<u8>, member: &Member<'_>, name: &[u8], prefix: &[u8], stored: u64) {
    let start = out.len();
    out.resize(start + BLOCK, 0);
    let block = &mut out[start..];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], u64::from(member.mode & 0o7777));
    octal(&mut block[108..116], u64::from(if member.user > OCTAL_7 { 0 } else { member.user }));
    octal(&mut block[116..124], u64::from(if member.group > OCTAL_7 { 0 } else { member.group }));
    octal(&mut block[124..136], if stored > OCTAL_11 { 0 } else { stored });
    let seconds = u64::try_from(member.seconds).ok().filter(|seconds| *seconds <= OCTAL_11);
    octal(&mut block[136..148], seconds.unwrap_or_default());
    block[156] = member.flag;
    let link = cut(member.link, 100);
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let user_name = cut(member.user_name.as_bytes(), 31);
    block[265..265 + user_name.len()].copy_from_slice(user_name);
    let group_name = cut(member.group_name.as_bytes(), 31);
    block[297..297 + group_name.len()].copy_from_slice(group_name);
    octal(&mut block[329..337], u64::from(member.device.0));
    octal(&mut block[337..345], u64::from(member.device.1));
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block[155] = b' ';
}

/// Octal digits filling the field but for a final NUL.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + u8::try_from(value & 7).unwrap_or_default();
        value >>= 3;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::super::{EntryKind, Reader, ReaderChunks};
    use super::*;

    fn round_trip(member: &Member<'_>, content: &[u8]) -> super::super::Entry {
        let mut writer = Writer::new(Vec::new());
        writer.header(member).expect("a vector takes all");
        writer.content(content).expect("a vector takes all");
        writer.pad(content.len() as u64).expect("a vector takes all");
        let bytes = writer.finish().expect("a vector takes all");
        let mut reader = Reader::new(ReaderChunks::new(bytes.as_slice()));
        let entry = reader.next_entry().expect("a header").expect("an entry");
        let mut read = Vec::new();
        let gather = |piece: &[u8]| {
            read.extend_from_slice(piece);
            Ok(())
        };
        reader.content(gather).expect("content");
        assert_eq!(read, content);
        assert!(reader.next_entry().expect("the end").is_none());
        entry
    }

    #[test]
    fn what_ustar_cannot_hold_goes_into_pax() {
        let path = [b"d/".repeat(300), "ü".as_bytes().to_vec()].concat();
        let link = b"x/".repeat(100);
        let attributes = [(b"user.a".to_vec(), vec![0, b'\n', 255])];
        let member = Member {
            path: &path,
            link: &link,
            flag: b'2',
            mode: 0o4755,
            user: 3_000_000,
            group: 7,
            seconds: -1,
            nanoseconds: 250_000_000,
            attributes: &attributes,
            ..Member::default()
        };
        let entry = round_trip(&member, b"");
        assert_eq!((entry.path, entry.link), (path, link));
        assert_eq!((entry.user, entry.group, entry.mode), (3_000_000, 7, 0o4755));
        assert_eq!((entry.seconds, entry.nanoseconds), (-1, 250_000_000));
        assert_eq!(entry.attributes, attributes);
        assert_eq!(entry.kind, EntryKind::Symlink);
    }

    #[test]
    fn sparse_files_keep_their_map() {
        let extents = [Extent { offset: 4096, length: 3 }, Extent { offset: 1 << 40, length: 0 }];
        let member =
            Member { path: b"s", flag: b'0', size: 1 << 40, extents: Some(&extents), ..Member::default() };
        let entry = round_trip(&member, b"abc");
        assert_eq!((entry.path.as_slice(), entry.size, entry.stored), (&b"s"[..], 1 << 40, 3));
        assert_eq!(entry.extents.as_deref(), Some(&extents[..]));
    }

    #[test]
    fn long_names_split_at_a_slash_need_no_pax() {
        let path = [b"a".repeat(90), b"/".to_vec(), b"b".repeat(90), b"/".to_vec()].concat();
        let member = Member { path: &path, flag: b'5', mode: 0o755, ..Member::default() };
        let mut writer = Writer::new(Vec::new());
        writer.header(&member).expect("a vector takes all");
        assert_eq!(writer.finish().expect("a vector takes all").len(), 3 * BLOCK);
        assert_eq!(round_trip(&member, b"").path, path);
    }
}
