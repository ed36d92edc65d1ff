//! `algorithm` of a checksum: a name, or the parameters of a CRC.

use super::at::At;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The name by which `de` recognises [`RawAlgorithm`].
pub(super) const ALGORITHM: &str = "$Algorithm";

/// `algorithm` of a checksum.
#[derive(Clone, Debug)]
pub enum RawAlgorithm {
    /// A name.
    Name(String),
    /// A CRC.
    Crc(Box<RawCrc>),
}

/// The parameters of a CRC, in the notation of the CRC catalogue.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawCrc {
    /// Bits, 8 to 64.
    pub width: Option<At<u64>>,
    /// The polynomial without its highest bit, highest bit first, in hex digits: 8005 for CRC-16/MODBUS.
    pub poly: Option<At<String>>,
    /// The register at first, in hex digits. Default 0.
    pub init: Option<At<String>>,
    /// Each byte begins with its lowest bit. Default false.
    pub refin: Option<At<bool>>,
    /// The result begins with its lowest bit. Default: as `refin`.
    pub refout: Option<At<bool>>,
    /// What the result is XORed with, in hex digits. Default 0.
    pub xorout: Option<At<String>>,
    /// `high`: each byte goes to the place of the register's high byte (HJ 212). Default `low`.
    pub shift: Option<At<String>>,
}

impl<'de> Deserialize<'de> for RawAlgorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ALGORITHM, Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = RawAlgorithm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or the parameters of a CRC")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<RawAlgorithm, E> {
        Ok(RawAlgorithm::Name(name.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawAlgorithm, D::Error> {
        RawCrc::deserialize(deserializer).map(|crc| RawAlgorithm::Crc(Box::new(crc)))
    }
}

impl JsonSchema for RawAlgorithm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let crc = generator.subschema_for::<RawCrc>();
        let [words, catalogued] = super::schema::algorithms();
        json_schema!({ "anyOf": [words, catalogued, crc] })
    }
}
