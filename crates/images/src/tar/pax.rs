//! The records of PAX extended headers (POSIX.1-2001 pax, "Extended Header") that matter here.

use super::Extent;

/// The values of the extended headers before an entry.
#[derive(Debug, Default, Clone)]
pub(crate) struct Extensions {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) user: Option<u64>,
    pub(crate) group: Option<u64>,
    pub(crate) modified: Option<(i64, u32)>,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: SparseRecords,
}

/// GNU tar's PAX records of sparse files (its manual, "Storing Sparse Files").
#[derive(Debug, Default, Clone)]
pub(crate) struct SparseRecords {
    /// `GNU.sparse.major`: 1 means that the map comes before the content.
    pub(crate) major: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    /// Versions 0.0 and 0.1.
    pub(crate) extents: Vec<Extent>,
    /// Version 0.0 gives an offset first, then its length.
    pending_offset: Option<u64>,
}

const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE_ATTRIBUTE: &[u8] = b"LIBARCHIVE.xattr.";

impl Extensions {
    /// Applies all records of one header.
    pub(crate) fn apply(&mut self, mut data: &[u8]) -> Result<(), &'static str> {
        while !data.is_empty() && data[0] != 0 {
            let (key, value, rest) = split_record(data)?;
            self.record(key, value)?;
            data = rest;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const NUMBER: &str = "a PAX record is no number";
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(decimal(value).ok_or(NUMBER)?),
            b"uid" => self.user = Some(decimal(value).ok_or(NUMBER)?),
            b"gid" => self.group = Some(decimal(value).ok_or(NUMBER)?),
            b"mtime" => self.modified = Some(time(value).ok_or("a PAX time is malformed")?),
            b"GNU.sparse.major" => self.sparse.major = Some(decimal(value).ok_or(NUMBER)?),
            b"GNU.sparse.name" => self.sparse.name = Some(name(value)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                self.sparse.real_size = Some(decimal(value).ok_or(NUMBER)?);
            }
            b"GNU.sparse.offset" => self.sparse.pending_offset = Some(decimal(value).ok_or(NUMBER)?),
            b"GNU.sparse.numbytes" => {
                let offset = self.sparse.pending_offset.take().ok_or("a sparse length has no offset")?;
                self.sparse.extents.push(Extent { offset, length: decimal(value).ok_or(NUMBER)? });
            }
            b"GNU.sparse.map" => {
                self.sparse.extents = sparse_map(value).ok_or("a sparse map is malformed")?
            }
            _ => {
                if let Some(attribute) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.push((name(attribute)?, value.to_vec()));
                } else if let Some(attribute) = key.strip_prefix(LIBARCHIVE_ATTRIBUTE) {
                    self.libarchive_attribute(attribute, value)?;
                }
            }
        }
        Ok(())
    }

    /// libarchive writes attributes in base64 too; the plain form wins.
    fn libarchive_attribute(&mut self, attribute: &[u8], value: &[u8]) -> Result<(), &'static str> {
        use base64::Engine;
        if self.attributes.iter().any(|(known, _)| known == attribute) {
            return Ok(());
        }
        let value = base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(value.trim_ascii_end().strip_suffix(b"=").unwrap_or(value))
            .map_err(|_| "an attribute is no base64")?;
        self.attributes.push((name(attribute)?, value));
        Ok(())
    }
}

/// Key, value, and what follows the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits `LENGTH KEY=VALUE\n` off.
fn split_record(data: &[u8]) -> Result<Record<'_>, &'static str> {
    const MALFORMED: &str = "a PAX record is malformed";
    let space = data.iter().take(20).position(|byte| *byte == b' ').ok_or(MALFORMED)?;
    let length = decimal(&data[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(MALFORMED)?;
    if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
        return Err(MALFORMED);
    }
    let record = &data[space + 1..length - 1];
    let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
    Ok((&record[..equals], &record[equals + 1..], &data[length..]))
}

fn name(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.contains(&0) { Err("a name holds a NUL") } else { Ok(value.to_vec()) }
}

pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let mut value: u64 = 0;
    for digit in text {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Decimal seconds with any fraction; before 1970 they are negative.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..point])?).ok()?;
    let mut nanoseconds: u32 = 0;
    for index in 0..9 {
        let digit = text.get(point + 1 + index).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        nanoseconds = nanoseconds * 10 + u32::from(digit - b'0');
    }
    Some(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// `offset,length,offset,length…` of version 0.1.
fn sparse_map(text: &[u8]) -> Option<Vec<Extent>> {
    let mut numbers = text.split(|byte| *byte == b',').map(decimal);
    let mut extents = Vec::new();
    while let Some(offset) = numbers.next() {
        extents.push(Extent { offset: offset?, length: numbers.next()?? });
    }
    Some(extents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> String {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        format!("{length} {key}={value}\n")
    }

    #[test]
    fn records_are_applied() {
        let data = record("path", "a/b") + &record("mtime", "-1.5") + &record("SCHILY.xattr.user.x", "y\nz=");
        let mut extensions = Extensions::default();
        assert_eq!(extensions.apply(data.as_bytes()), Ok(()));
        assert_eq!(extensions.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!(extensions.modified, Some((-2, 500_000_000)));
        assert_eq!(extensions.attributes, [(b"user.x".to_vec(), b"y\nz=".to_vec())]);
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in ["5 a=b", "99 a=b\n", "0 a=b\n", "x a=b\n", "6 ab\n\n\n", "99999999999999999999999 a=b\n"]
        {
            assert!(Extensions::default().apply(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Extensions::default().apply(record("path", "a\0b").as_bytes()).is_err());
    }
}
