//! What happens in a fleet, as events of the stream.

use crate::source::Happened;
use fsu_serve::steer::Steering;

/// From now on, for one reader.
pub(super) fn of(_steering: &Steering) -> Option<flume::Receiver<Happened>> {
    None
}
