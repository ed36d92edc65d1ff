//! Names of the CRC catalogue to algorithms.

use super::expr::nearest;
use crate::model::template::Algorithm;
use crc::Crc;

macro_rules! catalogue {
    ($($variant:ident $width:ty: $($name:ident)+;)+) => {
        /// The algorithm of that name. Case and punctuation do not count.
        fn by_name(name: &str) -> Option<Catalogued> {
            let wanted = normal(name);
            $($(if normal(stringify!($name)) == wanted {
                let algorithm = Algorithm::$variant(Box::new(Crc::<$width>::new(&crc::$name)));
                let bits = u32::from(crc::$name.width);
                return Some(Catalogued { algorithm, bits, name: spelled(stringify!($name)) });
            })+)+
            None
        }

        /// All names, for suggestions.
        const NAMES: &[&str] = &[$($(stringify!($name),)+)+];
    };
}

/// An algorithm of the catalogue.
#[derive(Debug)]
pub struct Catalogued {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Its width.
    pub bits: u32,
    /// As the catalogue spells it.
    pub name: String,
}

/// `CRC_16_IBM_SDLC` as the catalogue spells it: `CRC-16/IBM-SDLC`.
fn spelled(name: &str) -> String {
    name.replacen('_', "-", 1).replacen('_', "/", 1).replace('_', "-")
}

fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

catalogue! {
    Crc8 u8: CRC_3_GSM CRC_3_ROHC CRC_4_G_704 CRC_4_INTERLAKEN CRC_5_EPC_C1G2 CRC_5_G_704 CRC_5_USB CRC_6_CDMA2000_A
        CRC_6_CDMA2000_B CRC_6_DARC CRC_6_G_704 CRC_6_GSM CRC_7_MMC CRC_7_ROHC CRC_7_UMTS CRC_8_AUTOSAR CRC_8_BLUETOOTH
        CRC_8_CDMA2000 CRC_8_DARC CRC_8_DVB_S2 CRC_8_GSM_A CRC_8_GSM_B CRC_8_I_432_1 CRC_8_I_CODE CRC_8_LTE
        CRC_8_MAXIM_DOW CRC_8_MIFARE_MAD CRC_8_NRSC_5 CRC_8_OPENSAFETY CRC_8_ROHC CRC_8_SAE_J1850 CRC_8_SMBUS
        CRC_8_TECH_3250 CRC_8_WCDMA;
    Crc16 u16: CRC_10_ATM CRC_10_CDMA2000 CRC_10_GSM CRC_11_FLEXRAY CRC_11_UMTS CRC_12_CDMA2000 CRC_12_DECT CRC_12_GSM
        CRC_12_UMTS CRC_13_BBC CRC_14_DARC CRC_14_GSM CRC_15_CAN CRC_15_MPT1327 CRC_16_ARC CRC_16_CDMA2000 CRC_16_CMS
        CRC_16_DDS_110 CRC_16_DECT_R CRC_16_DECT_X CRC_16_DNP CRC_16_EN_13757 CRC_16_GENIBUS CRC_16_GSM CRC_16_IBM_3740
        CRC_16_IBM_SDLC CRC_16_ISO_IEC_14443_3_A CRC_16_KERMIT CRC_16_LJ1200 CRC_16_M17 CRC_16_MAXIM_DOW CRC_16_MCRF4XX
        CRC_16_MODBUS CRC_16_NRSC_5 CRC_16_OPENSAFETY_A CRC_16_OPENSAFETY_B CRC_16_PROFIBUS CRC_16_RIELLO
        CRC_16_SPI_FUJITSU CRC_16_T10_DIF CRC_16_TELEDISK CRC_16_TMS37157 CRC_16_UMTS CRC_16_USB CRC_16_XMODEM;
    Crc32 u32: CRC_17_CAN_FD CRC_21_CAN_FD CRC_24_BLE CRC_24_FLEXRAY_A CRC_24_FLEXRAY_B CRC_24_INTERLAKEN CRC_24_LTE_A
        CRC_24_LTE_B CRC_24_OPENPGP CRC_24_OS_9 CRC_30_CDMA CRC_31_PHILIPS CRC_32_AIXM CRC_32_AUTOSAR CRC_32_BASE91_D
        CRC_32_BZIP2 CRC_32_CD_ROM_EDC CRC_32_CKSUM CRC_32_ISCSI CRC_32_ISO_HDLC CRC_32_JAMCRC CRC_32_MEF CRC_32_MPEG_2
        CRC_32_XFER;
    Crc64 u64: CRC_40_GSM CRC_64_ECMA_182 CRC_64_GO_ISO CRC_64_MS CRC_64_REDIS CRC_64_WE CRC_64_XZ;
}

/// Other names under which the catalogue lists its algorithms, as people write them.
const ALIASES: &[(&str, &str)] = &[
    ("MODBUS", "CRC_16_MODBUS"),
    ("CRC16CCITTTRUE", "CRC_16_KERMIT"),
    ("CRC16CCITTFALSE", "CRC_16_IBM_3740"),
    ("CRC16AUTOSAR", "CRC_16_IBM_3740"),
    ("CRC16X25", "CRC_16_IBM_SDLC"),
    ("X25", "CRC_16_IBM_SDLC"),
    ("CRC16ACORN", "CRC_16_XMODEM"),
    ("XMODEM", "CRC_16_XMODEM"),
    ("ARC", "CRC_16_ARC"),
    ("CRC16IBM", "CRC_16_ARC"),
    ("CRC8", "CRC_8_SMBUS"),
    ("CRC32", "CRC_32_ISO_HDLC"),
    ("CRC32C", "CRC_32_ISCSI"),
];

/// Names that people write for different algorithms: whichever was taken, the other half would be wrong without a word.
const AMBIGUOUS: &[(&str, &[&str])] = &[
    ("CRC16", &["CRC_16_ARC", "CRC_16_MODBUS"]),
    ("CRC16CCITT", &["CRC_16_KERMIT", "CRC_16_IBM_3740", "CRC_16_XMODEM"]),
    ("CRCCCITT", &["CRC_16_KERMIT", "CRC_16_IBM_3740", "CRC_16_XMODEM"]),
];

/// [`by_name`], with the catalogue's aliases.
pub fn find(name: &str) -> Option<Catalogued> {
    let wanted = normal(name);
    by_name(name).or_else(|| ALIASES.iter().find(|(alias, _)| *alias == wanted).and_then(|(_, name)| by_name(name)))
}

/// What to write instead of a name that may mean several: `crc:A or crc:B`.
pub fn ambiguous(name: &str) -> Option<String> {
    let wanted = normal(name);
    let (_, meant) = AMBIGUOUS.iter().find(|(short, _)| *short == wanted)?;
    let names: Vec<String> = meant.iter().map(|name| format!("crc:{}", spelled(name))).collect();
    let (last, first) = names.split_last()?;
    Some(format!("{} or {last}", first.join(", ")))
}

/// ` (did you mean …?)`, or nothing.
pub fn nearest_name(name: &str) -> String {
    let names: Vec<String> = NAMES.iter().map(|name| spelled(name)).collect();
    nearest(name, names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, check_value: u64) {
        let bytes = b"123456789";
        let got = match find(name).unwrap_or_else(|| panic!("{name} is unknown")).algorithm {
            Algorithm::Crc8(crc) => u64::from(crc.checksum(bytes)),
            Algorithm::Crc16(crc) => u64::from(crc.checksum(bytes)),
            Algorithm::Crc32(crc) => u64::from(crc.checksum(bytes)),
            Algorithm::Crc64(crc) => crc.checksum(bytes),
            other => panic!("{other:?}"),
        };
        assert_eq!(got, check_value, "{name}");
    }

    #[test]
    fn catalogue_check_values() {
        check("CRC-16/MODBUS", 0x4B37);
        check("CRC-16/ARC", 0xBB3D);
        check("CRC-16/CCITT-FALSE", 0x29B1);
        check("crc-8/smbus", 0xF4);
        check("CRC-32/ISO-HDLC", 0xCBF4_3926);
        check("CRC-64/XZ", 0x995D_C9BB_DF19_39FA);
        check("CRC-24/OPENPGP", 0x0021_CF02);
        assert!(find("CRC-16/NONE").is_none());
    }

    #[test]
    fn names_as_the_catalogue_spells_them() {
        let check =
            |name: &str, expected: &str| assert_eq!(find(name).map(|found| found.name).as_deref(), Some(expected));
        check("crc16modbus", "CRC-16/MODBUS");
        check("CRC-16/CCITT-FALSE", "CRC-16/IBM-3740");
        check("x-25", "CRC-16/IBM-SDLC");
        check("crc_16_iso_iec_14443_3_a", "CRC-16/ISO-IEC-14443-3-A");
        check("CRC32", "CRC-32/ISO-HDLC");
    }

    #[test]
    fn names_of_several() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(ambiguous(name).as_deref(), expected, "{name}");
            assert!(expected.is_none() || find(name).is_none(), "{name}");
        };
        check("CRC-16", Some("crc:CRC-16/ARC or crc:CRC-16/MODBUS"));
        for name in ["CRC16-CCITT", "CRC-16/CCITT", "crc-ccitt"] {
            check(name, Some("crc:CRC-16/KERMIT, crc:CRC-16/IBM-3740 or crc:CRC-16/XMODEM"));
        }
        check("CRC-16/ARC", None);
    }
}
