//! JSON Schemas of what the load generator reads and writes; kept under docs/schema/.

use crate::report::FloodReport;
use crate::workload::values::ValuesFile;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a type.
pub(crate) fn text<T: JsonSchema>(title: &str) -> String {
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

/// Of `--values`.
pub fn values() -> String {
    text::<ValuesFile>("flood-values")
}
