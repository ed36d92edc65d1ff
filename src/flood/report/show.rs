//! Who shows a run.

use super::Second;
use crate::book::live::Look;
use crate::workload::options::Options;

/// Who shows a run while it goes on.
pub trait Show {
    /// A second has passed.
    fn second(&mut self, options: &Options, second: &Second, look: &Look);
    /// The run is over: the screen is the report's.
    fn end(&mut self);
    /// Does whoever watches want it to end?
    fn wants_end(&mut self) -> bool {
        false
    }
}
