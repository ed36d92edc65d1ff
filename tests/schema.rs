//! The schemas under config/schema/ are those of the types.

use fsu_plan::config::schema::{Kind, text};
use std::path::Path;

/// Set it to rewrite the files.
const WRITE: &str = "FSU_MOCK_WRITE_SCHEMA";

#[test]
fn schema_files_are_current() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config/schema");
    for kind in Kind::ALL {
        let path = dir.join(format!("{}.schema.json", kind.name()));
        let expected = text(kind);
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(&path, &expected).expect("a file");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is out of date; regenerate it with\n  cargo run -- schema {name} > config/schema/{name}.schema.json\n\
             or all with\n  {WRITE}=1 cargo test --test schema",
            path.display(),
            name = kind.name(),
        );
    }
}

#[test]
fn schemas_of_the_load_generator_are_current() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("docs/schema");
    let all = [
        ("flood-report", fsu_flood::schema::report()),
        ("flood-centre", fsu_flood::listen::schema::centre()),
        ("flood-reconcile", fsu_flood::listen::schema::reconcile()),
        ("flood-values", fsu_flood::schema::values()),
        ("compare", fsu_flood::compare::schema()),
        ("flood-capacity", fsu_flood::capacity::schema()),
    ];
    for (name, expected) in all {
        let path = dir.join(format!("{name}.schema.json"));
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(&path, &expected).expect("a file");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is out of date; regenerate it with\n  cargo run -- schema {name} > docs/schema/{name}.schema.json",
            path.display(),
        );
    }
}
