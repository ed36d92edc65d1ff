//! Which part of a load this is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One part of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartReport {
    /// Which, from 0.
    pub part: u32,
    /// How many there are.
    pub of: u32,
    /// FSUs that all parts together chose.
    pub fsus_of: usize,
    /// The first address where nobody listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<String>,
}
