//! Configuration files to raw values (spec: templates.md).
//!
//! A file is read once into a [`node`] tree that knows the place of every value; [`de`] lays the
//! raw serde types of [`raw`] over it, collecting every error and every unknown key into
//! [`diag::Diags`] instead of stopping at the first. What the values *mean* is the business of
//! [`crate::model`].

pub mod algorithm;
pub mod at;
pub mod budget;
pub mod de;
pub mod diag;
pub mod extent;
pub mod load;
pub mod messages;
pub mod near;
pub mod node;
pub mod raw;
pub mod schema;
pub mod source;
pub mod steps;
pub mod table;
pub mod tls;

#[cfg(test)]
mod tests;
