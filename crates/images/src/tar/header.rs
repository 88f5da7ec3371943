//! The header block: fixed fields of numbers and names (POSIX.1-1988 ustar; GNU tar manual,
//! "Basic Tar Format").

use super::BLOCK;

/// One header block.
pub(crate) struct Header<'a>(pub(crate) &'a [u8; BLOCK]);

/// The dialect, by its magic.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Gnu,
}

impl Header<'_> {
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// Whether the sum of all bytes is the one in the header; old tars summed signed bytes.
    pub(crate) fn checksum_holds(&self) -> bool {
        let Some(stated) = octal(&self.0[148..156]) else { return false };
        let mut unsigned: u64 = 0;
        let mut signed: i64 = 0;
        for (index, byte) in self.0.iter().enumerate() {
            let byte = if (148..156).contains(&index) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        stated == unsigned || i64::try_from(stated) == Ok(signed)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0[257..265] {
            b"ustar  \0" => Dialect::Gnu,
            magic if magic.starts_with(b"ustar\0") => Dialect::Ustar,
            _ => Dialect::V7,
        }
    }

    pub(crate) const fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name with the prefix that ustar keeps apart.
    pub(crate) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.0[0..100]);
        let prefix = until_nul(&self.0[345..500]);
        if self.dialect() == Dialect::Ustar && !prefix.is_empty() {
            [prefix, b"/", name].concat()
        } else {
            name.to_vec()
        }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        until_nul(&self.0[157..257]).to_vec()
    }

    pub(crate) fn mode(&self) -> Option<u64> {
        number(&self.0[100..108])
    }

    pub(crate) fn user(&self) -> Option<u64> {
        number(&self.0[108..116])
    }

    pub(crate) fn group(&self) -> Option<u64> {
        number(&self.0[116..124])
    }

    pub(crate) fn size(&self) -> Option<u64> {
        number(&self.0[124..136])
    }

    pub(crate) fn modified(&self) -> Option<i64> {
        signed_number(&self.0[136..148])
    }

    pub(crate) fn device(&self) -> Option<(u64, u64)> {
        if self.dialect() == Dialect::V7 {
            return Some((0, 0));
        }
        Some((number(&self.0[329..337])?, number(&self.0[337..345])?))
    }
}

/// Everything before the first NUL.
pub(crate) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal, or in base 256 where the first bit is set (GNU).
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    signed_number(field).and_then(|number| u64::try_from(number).ok())
}

fn signed_number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 == 0 {
        return octal(field).and_then(|number| i64::try_from(number).ok());
    }
    // Two's complement, the topmost bit being the mark: bit 6 is the sign.
    let mut value: i64 =
        if field[0] & 0x40 == 0 { i64::from(field[0] & 0x3f) } else { i64::from(field[0]) - 256 };
    for byte in &field[1..] {
        value = value.checked_mul(256)?.checked_add(i64::from(*byte))?;
    }
    Some(value)
}

/// Octal digits with blanks around; an empty field is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let text = until_nul(field).trim_ascii();
    let mut value: u64 = 0;
    for digit in text {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_bases() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"  644 \0\0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(signed_number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
