//! JSON Schemas of what a centre writes; kept under docs/schema/.

use super::heard::CentreReport;
use crate::report::schema::text;
use crate::talk::ledger::Compared;

/// Of `--centre` and `--listen` with `--json`.
pub fn centre() -> String {
    text::<CentreReport>("flood-centre")
}

/// Of `--reconcile` with `--json`.
pub fn reconcile() -> String {
    text::<Compared>("flood-reconcile")
}
