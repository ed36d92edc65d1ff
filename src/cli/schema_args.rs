//! What `schema` can be told.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use fsu_plan::config::schema::Kind;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_name = "KIND", value_enum)]
    pub kind: SchemaKind,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// A configuration file.
    Config(Kind),
    /// What `flood --json` writes.
    FloodReport,
    /// What `flood --centre --json` writes.
    FloodCentre,
    /// What `flood --reconcile --json` writes.
    FloodReconcile,
    /// What `flood --values` reads.
    FloodValues,
    /// What `flood --find-max --json` writes.
    FloodCapacity,
    /// What `compare --json` writes.
    Compare,
}

impl ValueEnum for SchemaKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Config(Kind::SysConfig),
            Self::Config(Kind::FsuDevices),
            Self::Config(Kind::Template),
            Self::Config(Kind::Rules),
            Self::Config(Kind::Vendor),
            Self::FloodReport,
            Self::FloodCentre,
            Self::FloodReconcile,
            Self::FloodValues,
            Self::FloodCapacity,
            Self::Compare,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Config(kind) => (kind.name(), kind.meaning()),
            Self::FloodReport => ("flood-report", "What flood --json writes"),
            Self::FloodCentre => ("flood-centre", "What flood --centre --json and flood --listen --json write"),
            Self::FloodReconcile => ("flood-reconcile", "What flood --reconcile --json writes"),
            Self::FloodValues => ("flood-values", "What flood --values reads: values of request fields"),
            Self::Compare => ("compare", "What compare --json writes"),
            Self::FloodCapacity => ("flood-capacity", "What flood --find-max --json writes"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
