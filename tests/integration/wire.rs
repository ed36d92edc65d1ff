//! Frames, put together by hand from the protocol's description.

/// XOR of all bytes.
fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// P_header and P_tailer around `body` and its P_verify, escaped.
fn outer(mut body: Vec<u8>) -> Vec<u8> {
    body.push(xor(&body));
    let mut frame = vec![0xFF];
    for byte in body {
        match byte {
            0xFF => frame.extend([0xFD, 0x00]),
            0xFE => frame.extend([0xFD, 0x01]),
            0xFD => frame.extend([0xFD, 0x02]),
            _ => frame.push(byte),
        }
    }
    frame.push(0xFE);
    frame
}

/// An FSU id in its 20 bytes.
fn address(id: &str) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..id.len()].copy_from_slice(id.as_bytes());
    bytes
}

/// From P_subDevType to the through data.
fn rest(device: [u8; 2], rtn_flag: u8, data: &[u8]) -> Vec<u8> {
    let size = data.len() as u16;
    let [p_low, p_high] = (5 + size).to_le_bytes();
    let [n_low, n_high] = size.to_le_bytes();
    let mut rest = vec![device[0], device[1], p_low, p_high, rtn_flag, 0x01, 0x00, n_low, n_high];
    rest.extend(data);
    rest
}

/// A centre's request to `device` (P_subDevType, P_subDev_addr) of the FSU with that ASCII id.
pub(crate) fn request(id: &str, device: [u8; 2], data: &[u8]) -> Vec<u8> {
    request_with(0xEE, id, device, data)
}

/// The same with another RtnFlag.
pub(crate) fn request_with(rtn_flag: u8, id: &str, device: [u8; 2], data: &[u8]) -> Vec<u8> {
    outer([&address(id)[..], &[0; 8], &rest(device, rtn_flag, data)].concat())
}

/// The through data of a request.
pub(crate) fn through(request: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = request.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == 0xFD { 0xFF - bytes.next().expect("an escape has two bytes") } else { byte });
    }
    plain[38..plain.len() - 2].to_vec()
}

/// The FSU's reply to it.
pub(crate) fn reply(id: &str, device: [u8; 2], data: &[u8]) -> Vec<u8> {
    outer([&[0; 8], &address(id)[..], &rest(device, 0x00, data)].concat())
}

/// A heartbeat of the FSU with that ASCII id, whose first device has that P_subDev_addr.
pub(crate) fn heartbeat(id: &str, sub_dev_addr: u8) -> Vec<u8> {
    outer([&[0; 8], &address(id)[..], &[0x01, sub_dev_addr, 0x03, 0x00, 0xED, 0x02, 0x00]].concat())
}

/// The invented meter's frame: start 68, address, command, size of the data frame, data frame, sum from the address on, end 16.
pub(crate) fn meter(address: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x68, address, command, data.len() as u8];
    frame.extend(data);
    frame.push(frame[1..].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    frame.push(0x16);
    frame
}

/// The invented lamp's frame: start A1, command, one byte, end A2; no checksum.
pub(crate) fn lamp(command: u8, data: u8) -> Vec<u8> {
    vec![0xA1, command, data, 0xA2]
}

#[test]
fn a_frame_by_hand_is_the_one_of_the_description() {
    let data =
        hex::decode(concat!("7E01008B1026011201173003", "00000000000000000000000000000000000000", "00000D")).unwrap();
    let expected = concat!(
        "FF3230323530313235000000000000000000000000000000000000000001012700EE01002200",
        "7E01008B1026011201173003",
        "00000000000000000000000000000000000000",
        "00000D10FE",
    );
    assert_eq!(hex::encode_upper(request("20250125", [1, 1], &data)), expected);
    let escapes = [0x7E, 0xFD, 0x00, 0xFE, 0xFF];
    assert_eq!(through(&request("20250125", [1, 1], &escapes)), escapes);
}
