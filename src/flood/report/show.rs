//! The display of a run.

use super::Second;
use crate::book::live::Look;
use crate::workload::options::Options;

/// Shows a run while it goes on.
pub trait Show {
    /// A second has passed.
    fn second(&mut self, options: &Options, second: &Second, look: &Look);
    /// Whether everything is looked at ([`crate::book::live::More`]).
    fn wants_all(&self) -> bool {
        false
    }
    /// The run is over: restores the terminal for the report.
    fn end(&mut self);
    /// Whether the user wants the run to end.
    fn wants_end(&mut self) -> bool {
        false
    }
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Show for Silent {
    fn second(&mut self, _options: &Options, _second: &Second, _look: &Look) {}

    fn end(&mut self) {}
}
