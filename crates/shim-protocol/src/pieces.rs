//! Messages that are longer than a packet may be, from protocol 7 on: sent in fragments, one packet each.
//!
//! ```text
//! (…      the first fragment; fragments of an earlier message, whose sender gave up, are dropped
//! +…      further ones
//! )…      the last one; the message's descriptor is beside it
//! {…}     a whole message, possible between the fragments of another
//! ```

use std::borrow::Cow;

use crate::MAXIMUM_PACKET;

/// The protocol that first had messages in fragments.
pub const PIECES_SINCE: u32 = 7;

/// No message is larger than this, in bytes: the kernel gives a new program at most 6 MiB of arguments and environment,
/// of which JSON makes more.
pub const MAXIMUM_MESSAGE: usize = 16 << 20;

const FIRST: u8 = b'(';
const FURTHER: u8 = b'+';
const LAST: u8 = b')';

/// A message is longer than the other side takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is longer than allowed")]
pub struct TooLong;

/// The packets of a message for a side with this protocol, in order; one where it fits.
///
/// # Errors
/// [`TooLong`] for a message that this protocol cannot send.
pub fn packets(message: &[u8], protocol: u32) -> Result<Vec<Cow<'_, [u8]>>, TooLong> {
    if message.len() <= MAXIMUM_PACKET {
        return Ok(vec![Cow::Borrowed(message)]);
    }
    if protocol < PIECES_SINCE || message.len() > MAXIMUM_MESSAGE {
        return Err(TooLong);
    }
    let pieces = message.chunks(MAXIMUM_PACKET - 1);
    let last = pieces.len() - 1;
    let packets = pieces.enumerate().map(|(number, piece)| {
        let kind = match number {
            0 => FIRST,
            _ if number == last => LAST,
            _ => FURTHER,
        };
        Cow::Owned([&[kind], piece].concat())
    });
    Ok(packets.collect())
}

/// The fragments of a message received so far.
#[derive(Debug, Default)]
pub struct Pieces(Option<Vec<u8>>);

impl Pieces {
    /// Takes the next packet; returns the message that it is or that it completes.
    ///
    /// # Errors
    /// [`TooLong`] when the message becomes too long; its further fragments are skipped.
    pub fn take(&mut self, packet: Vec<u8>) -> Result<Option<Vec<u8>>, TooLong> {
        match packet.split_first() {
            Some((&FIRST, piece)) => {
                self.0 = Some(piece.to_vec());
                Ok(None)
            }
            Some((kind @ &(FURTHER | LAST), piece)) => {
                let Some(message) = self.0.as_mut() else { return Ok(None) };
                if message.len() + piece.len() > MAXIMUM_MESSAGE {
                    self.0 = None;
                    return Err(TooLong);
                }
                message.extend_from_slice(piece);
                Ok(if *kind == LAST { self.0.take() } else { None })
            }
            _ => Ok(Some(packet)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(message: &[u8]) -> Vec<Vec<u8>> {
        packets(message, PIECES_SINCE).expect("it fits").into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn a_message_comes_together_from_its_pieces() {
        for length in [1, MAXIMUM_PACKET, MAXIMUM_PACKET + 1, 2 * MAXIMUM_PACKET, 5 * MAXIMUM_PACKET + 7] {
            let message: Vec<u8> = (0..length).map(|place| b"{}()+"[place % 5]).collect();
            let mut packets = owned(&message);
            assert!(packets.iter().all(|packet| packet.len() <= MAXIMUM_PACKET));
            assert_eq!(packets.len() == 1, length <= MAXIMUM_PACKET);
            let last = packets.pop().expect("one at least");
            let mut pieces = Pieces::default();
            for packet in packets {
                assert_eq!(pieces.take(packet), Ok(None));
                assert_eq!(pieces.take(b"{}".to_vec()), Ok(Some(b"{}".to_vec())), "a whole one between");
            }
            assert_eq!(pieces.take(last), Ok(Some(message)));
        }
    }

    #[test]
    fn a_message_whose_sender_gave_up_is_forgotten() {
        let mut pieces = Pieces::default();
        let left = owned(&vec![b'x'; 3 * MAXIMUM_PACKET]);
        assert_eq!(pieces.take(left[1].clone()), Ok(None), "without a beginning");
        assert_eq!(pieces.take(left[0].clone()), Ok(None));
        let message = vec![b'y'; MAXIMUM_PACKET + 1];
        let [first, last] = <[Vec<u8>; 2]>::try_from(owned(&message)).expect("two");
        assert_eq!(pieces.take(first), Ok(None));
        assert_eq!(pieces.take(last), Ok(Some(message)));
    }

    #[test]
    fn what_is_too_long_is_refused_by_both_sides() {
        assert_eq!(packets(&vec![b'x'; MAXIMUM_PACKET + 1], PIECES_SINCE - 1), Err(TooLong));
        assert_eq!(packets(&vec![b'x'; MAXIMUM_MESSAGE + 1], PIECES_SINCE), Err(TooLong));
        let mut pieces = Pieces::default();
        assert_eq!(pieces.take([&[FIRST][..], &vec![b'x'; MAXIMUM_MESSAGE]].concat()), Ok(None));
        assert_eq!(pieces.take(vec![LAST, b'x']), Err(TooLong));
        assert_eq!(pieces.take(vec![LAST, b'x']), Ok(None));
    }
}
