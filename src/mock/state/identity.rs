//! The identity of an FSU, as a seed of its messages' generators.

pub use fsu_plan::model::identity::identity;
pub(crate) use fsu_plan::model::identity::{STEP, mix};
