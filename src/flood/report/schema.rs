//! JSON Schemas of what the load generator reads and writes; kept under docs/schema/.

use crate::centre::CentreReport;
use crate::report::FloodReport;
use crate::talk::ledger::Compared;
use crate::workload::values::ValuesFile;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

fn text<T: JsonSchema>(title: &str) -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(object) = &mut schema {
        object.insert("title".into(), format!("fsu-mock {title}").into());
    }
    format!("{schema:#}\n")
}

/// Of `--json`.
pub fn report() -> String {
    text::<FloodReport>("flood-report")
}

/// Of `--centre` with `--json`.
pub fn centre() -> String {
    text::<CentreReport>("flood-centre")
}

/// Of `--reconcile` with `--json`.
pub fn reconcile() -> String {
    text::<Compared>("flood-reconcile")
}

/// Of `--values`.
pub fn values() -> String {
    text::<ValuesFile>("flood-values")
}
