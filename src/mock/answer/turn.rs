//! What one message is answered with.

use super::build;
use super::reply::Burst;
use crate::about::About;
use crate::faults::Drawn;
use crate::stage::stream::Progress;
use fsu_plan::model::template::Template;
use fsu_plan::wire::civil::Calendar;
use fsu_plan::wire::framer::Search;

/// Buffers of one shard, grown once and then reused by every message.
#[derive(Debug, Default)]
pub struct Scratch {
    /// An unescaped outer frame, received.
    pub outer: Vec<u8>,
    /// A raw inner frame, received (ascii_hex only).
    pub raw: Vec<u8>,
    /// A raw inner frame, to send.
    pub reply: Vec<u8>,
    /// The reply as it travels, before the outer frame, where that is not as it is: [`Self::on_wire`].
    pub wire: Vec<u8>,
    /// The outer frame before escaping.
    pub framed: Vec<u8>,
    /// The outer frame on the wire.
    pub escaped: Vec<u8>,
    /// The time that replies tell.
    pub calendar: Calendar,
    /// The text of a value; then the data frame that a reply leaves out, for a transfer to carry.
    pub text: Vec<u8>,
    /// What the framers saw in the bytes of a stream, by device.
    pub searches: Vec<Search>,
    /// How far the search for frames has come in the current connection.
    pub progress: Progress,
    /// The faults of the reply at hand.
    pub drawn: Drawn,
    /// What is known about the current request.
    pub about: About,
    /// What is left of a burst.
    pub burst: Burst,
}

impl Scratch {
    /// The reply as it travels, before the outer frame.
    #[inline]
    pub fn on_wire(&self, template: &Template) -> &[u8] {
        build::on_wire(template, &self.reply, &self.wire)
    }
}
