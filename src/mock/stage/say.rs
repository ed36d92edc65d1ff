//! What a device says unasked, as it travels (spec conversation.md).

use super::{b_interface, datagram, stream};
use crate::answer::turn::{Form, Turn};
use crate::sink::{Outgoing, Sink};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::Template;
use fsu_plan::wire::reason::Reason;

/// Sends the frame in the scratch by the FSU's transport, with its faults.
///
/// # Errors
/// It is too long for a datagram; that is counted.
pub(crate) fn say(
    turn: &mut Turn<'_>,
    (device, replied): (usize, (&Template, Form)),
    due_ns: i64,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    let fsu: &Fsu = turn.fsu;
    match fsu.transport {
        Transport::Udp => {
            let said = b_interface::say(turn, (&fsu.devices[device], replied), due_ns, sink);
            said.inspect_err(|&reason| turn.state.counters.drop(reason))
        }
        Transport::Broadcast | Transport::Datagram => datagram::send(turn, replied, (Outgoing::Message, due_ns), sink),
        Transport::Tcp => {
            stream::send(turn, replied, (Outgoing::Message, due_ns), sink);
            Ok(())
        }
    }
}
