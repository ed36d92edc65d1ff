//! The building blocks of the device log's text: indents, labels, hex.

use fsu_plan::model::fleet::Language;
use fsu_plan::wire::inner::hex_pair;
use fsu_plan::wire::reason::Reason;

/// The words that depend on the language; field names and values do not.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) received: &'static str,
    pub(super) reply: &'static str,
    pub(super) heartbeat: &'static str,
    pub(super) message: &'static str,
    pub(super) unsent: &'static str,
    pub(super) through_len: &'static str,
    pub(super) through: &'static str,
    /// With its colon.
    pub(super) data_frame: &'static str,
    pub(super) computed: &'static str,
    pub(super) high_byte_first: &'static str,
    pub(super) reason: &'static str,
    /// Which device, where an FSU has several.
    pub(super) device: &'static str,
    /// A reply that was held back.
    pub(super) due: &'static str,
    /// `after`, before that many milliseconds.
    pub(super) after: &'static str,
    pub(super) delay: &'static str,
    /// Held back by replies before it.
    pub(super) in_turn: &'static str,
    pub(super) fault: &'static str,
    /// Of a message: its name.
    pub(super) name: &'static str,
    /// It acknowledges a message.
    pub(super) acknowledges: &'static str,
    /// No message waits for it.
    pub(super) fits_none: &'static str,
    /// Silent by a rule.
    pub(super) silent: &'static str,
    pub(super) heard: &'static str,
}

const ZH: Labels = Labels {
    received: "接收到SC数据",
    reply: "应答SC数据",
    heartbeat: "发送心跳",
    message: "主动上报SC数据",
    unsent: "应答未发出",
    through_len: "透传数据长度",
    through: "透传数据",
    data_frame: "数据帧：",
    computed: "算得",
    high_byte_first: "高字节在前",
    reason: "原因",
    device: "设备",
    due: "延迟",
    after: "请求之后",
    delay: "延时",
    in_turn: "排在先前的应答之后",
    fault: "故障",
    name: "消息",
    acknowledges: "确认了等待中的消息",
    fits_none: "没有等待它的消息",
    silent: "timeout 规则不应答",
    heard: "收到心跳，未开启 heartbeat_reply",
};

const EN: Labels = Labels {
    received: "received from SC",
    reply: "reply to SC",
    heartbeat: "heartbeat sent",
    message: "message to SC",
    unsent: "reply not sent to SC",
    through_len: "through data length",
    through: "through data",
    data_frame: "data frame:",
    computed: "computed",
    high_byte_first: "high byte first",
    reason: "reason",
    device: "device",
    due: "due",
    after: "after",
    delay: "delay",
    in_turn: "behind the replies before it",
    fault: "fault",
    name: "message",
    acknowledges: "a message that waited for it",
    fits_none: "no message waits for it",
    silent: "timeout rule",
    heard: "a heartbeat is answered with heartbeat_reply only",
};

impl Labels {
    /// The labels of a language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Zh => &ZH,
            Language::En => &EN,
        }
    }
}

/// The text of one record while it is written.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) labels: &'static Labels,
}

impl<'a> Page<'a> {
    /// Appends to `out`.
    pub(super) fn new(out: &'a mut Vec<u8>, labels: &'static Labels) -> Self {
        Self { out, labels }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Ends the line.
    pub(super) fn end(&mut self) {
        self.out.push(b'\n');
    }

    /// `    name: `
    pub(super) fn name(&mut self, indent: usize, name: &str) {
        self.indent(indent);
        self.text(name);
        self.text(": ");
    }

    /// `    name:` and the line's end.
    pub(super) fn heading(&mut self, indent: usize, name: &str) {
        self.indent(indent);
        self.text(name);
        self.text(":\n");
    }

    /// `      数据帧：` and the line's end.
    pub(super) fn data_frame(&mut self, indent: usize) {
        self.indent(indent);
        self.text(self.labels.data_frame);
        self.end();
    }

    /// `  reason: bad_start (inner: …)`
    pub(super) fn reason(&mut self, indent: usize, reason: Reason) {
        self.line(indent, self.labels.reason, &[reason.reason(), " (", reason.meaning().trim(), ")"]);
    }

    /// `  name: ` and the parts of one text.
    pub(super) fn line(&mut self, indent: usize, name: &str, parts: &[&str]) {
        self.name(indent, name);
        for part in parts {
            self.text(part);
        }
        self.end();
    }

    /// ` (computed `, to be followed by the right value and `)`.
    pub(super) fn open_computed(&mut self) {
        self.text(" (");
        self.text(self.labels.computed);
        self.text(" ");
    }

    /// `0x` and as many digits as the bytes have.
    pub(super) fn number(&mut self, bytes: &[u8]) {
        // Most are one byte or two.
        match *bytes {
            [one] => {
                let [high, low] = hex_pair(one);
                self.out.extend_from_slice(&[b'0', b'x', high, low]);
            }
            [first, second] => {
                let ([a, b], [c, d]) = (hex_pair(first), hex_pair(second));
                self.out.extend_from_slice(&[b'0', b'x', a, b, c, d]);
            }
            _ => {
                self.text("0x");
                self.upper(bytes);
            }
        }
    }

    /// `FF32`
    pub(super) fn upper(&mut self, bytes: &[u8]) {
        self.digits(bytes, b"0123456789ABCDEF");
    }

    /// `ff32`
    pub(super) fn lower(&mut self, bytes: &[u8]) {
        self.digits(bytes, b"0123456789abcdef");
    }

    fn digits(&mut self, bytes: &[u8], digits: &[u8; 16]) {
        let start = self.out.len();
        self.out.resize(start + bytes.len() * 2, 0);
        for (pair, &byte) in self.out[start..].as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digits[usize::from(byte >> 4)], digits[usize::from(byte & 0x0F)]];
        }
    }

    /// `HEX: FF 32` and the line's end.
    pub(super) fn dump(&mut self, indent: usize, bytes: &[u8]) {
        self.indent(indent);
        self.text("HEX:");
        let start = self.out.len();
        self.out.resize(start + bytes.len() * 3, b' ');
        for (triple, &byte) in self.out[start..].as_chunks_mut::<3>().0.iter_mut().zip(bytes) {
            let [high, low] = hex_pair(byte);
            *triple = [b' ', high, low];
        }
        self.end();
    }

    fn indent(&mut self, indent: usize) {
        // Deeper than any line: a field of a data frame inside an outer frame has ten.
        const SPACES: &[u8] = &[b' '; 16];
        self.out.extend_from_slice(&SPACES[..indent.min(SPACES.len())]);
    }
}
