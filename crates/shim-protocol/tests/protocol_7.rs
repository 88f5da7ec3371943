//! What protocol 7 added, as bytes. These never change, see `protocol_1.rs`.

use berth_shim_protocol::{PIECES_SINCE, Pieces, packets};

#[test]
fn a_long_message_is_cut_as_ever() {
    assert_eq!(PIECES_SINCE, 7);
    let message = [vec![b'a'; 196_607], vec![b'b'; 196_607], b"c".to_vec()].concat();
    let packets = packets(&message, 7).expect("it fits");
    let heads: Vec<(u8, u8, usize)> =
        packets.iter().map(|packet| (packet[0], packet[1], packet.len())).collect();
    assert_eq!(heads, [(b'(', b'a', 196_608), (b'+', b'b', 196_608), (b')', b'c', 2)]);
    let mut pieces = Pieces::default();
    let taken: Vec<_> = packets.iter().map(|packet| pieces.take(packet.to_vec()).expect("it fits")).collect();
    assert_eq!(taken, [None, None, Some(message)]);
}
