//! Checksums, bit by bit (templates.md, Checksums).

/// Width in bits, polynomial, start, bits reflected, final XOR, value for "123456789".
pub type Crc = (&'static str, u32, u64, u64, bool, u64, u64);

/// Some names of the CRC catalogue.
pub const CRCS: &[Crc] = &[
    ("CRC-16/MODBUS", 16, 0x8005, 0xFFFF, true, 0, 0x4B37),
    ("CRC-16/XMODEM", 16, 0x1021, 0, false, 0, 0x31C3),
    ("CRC-16/IBM-3740", 16, 0x1021, 0xFFFF, false, 0, 0x29B1),
    ("CRC-16/KERMIT", 16, 0x1021, 0, true, 0, 0x2189),
    ("CRC-16/IBM-SDLC", 16, 0x1021, 0xFFFF, true, 0xFFFF, 0x906E),
    ("CRC-8/SMBUS", 8, 0x07, 0, false, 0, 0xF4),
    ("CRC-8/MAXIM-DOW", 8, 0x31, 0, true, 0, 0xA1),
    ("CRC-32/ISO-HDLC", 32, 0x04C1_1DB7, 0xFFFF_FFFF, true, 0xFFFF_FFFF, 0xCBF4_3926),
    ("CRC-32/BZIP2", 32, 0x04C1_1DB7, 0xFFFF_FFFF, false, 0xFFFF_FFFF, 0xFC89_1918),
    ("CRC-64/ECMA-182", 64, 0x42F0_E1EB_A9EA_3693, 0, false, 0, 0x6C40_DF5F_0B49_7347),
];

fn reflect(value: u64, width: u32) -> u64 {
    (0..width).fold(0, |out, i| out << 1 | (value >> i & 1))
}

pub fn crc(name: &str, bytes: &[u8]) -> u64 {
    let (_, width, poly, start, reflected, end, _) = *CRCS.iter().find(|c| c.0 == name).unwrap();
    let top = 1u64 << (width - 1);
    let mask = top | (top - 1);
    let mut value = start;
    for byte in bytes {
        for i in 0..8 {
            let bit = if reflected { byte >> i & 1 } else { byte >> (7 - i) & 1 } == 1;
            let out = value & top != 0;
            value = value << 1 & mask;
            if out != bit {
                value ^= poly;
            }
        }
    }
    (if reflected { reflect(value, width) } else { value }) ^ end
}

/// Bytes of what an algorithm gives; a sum may be of any.
pub fn own_size(algorithm: &str) -> usize {
    match algorithm {
        "sum" => 8,
        "xor" | "sum_xor" => 1,
        "crc16" => 2,
        name => CRCS.iter().find(|c| name.ends_with(c.0)).unwrap().1 as usize / 8,
    }
}

/// The checksum of these bytes as a number of `size` bytes.
pub fn checksum(algorithm: &str, complement: &str, bytes: &[u8], size: usize) -> u64 {
    let sum = bytes.iter().fold(0u64, |n, b| n.wrapping_add(u64::from(*b)));
    let plain = match algorithm {
        "sum" => sum,
        "xor" => u64::from(bytes.iter().fold(0, |n, b| n ^ b)),
        "sum_xor" => sum >> 8 & 0xFF ^ sum & 0xFF,
        "crc16" => crc("CRC-16/MODBUS", bytes),
        name => crc(name.strip_prefix("crc:").unwrap(), bytes),
    };
    let value = match complement {
        "none" => plain,
        "ones" => !plain,
        "twos" => plain.wrapping_neg(),
        other => panic!("complement {other}"),
    };
    if size >= 8 { value } else { value & ((1 << (8 * size)) - 1) }
}
