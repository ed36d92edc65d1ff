//! The configuration as it is written: flat serde types, every key optional.
//!
//! Nothing is decided here. Keys, types and defaults: spec templates.md. The JSON Schemas under
//! `config/schema/` are generated from these types, so their doc comments are what an editor shows.

use super::algorithm::RawAlgorithm;
use super::at::{At, Json, Map, OneOrMany};
use super::extent::{RawBurst, RawExtent, RawWhen};
use super::tls::{RawConnectTls, RawTls};
use schemars::JsonSchema;
use serde::Deserialize;

/// sys_config.json: the fleet, and settings common to all FSUs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawSysConfig {
    /// System log and device log.
    pub log: Option<RawLog>,
    /// Performance mode.
    pub performance: Option<RawPerformance>,
    /// A fixed centre that receives every FSU's heartbeats, whether or not it has sent anything.
    pub sc_iot_center: Option<At<RawCenter>>,
    /// Networks from which centres may send requests: `["192.0.2.0/24"]`. Default: any.
    pub allow: Option<At<Vec<At<String>>>>,
    /// Over UDP, also send other hosts replies more than three times as long as the request. Default false.
    pub allow_amplification: Option<At<bool>>,
    /// Limits of the configuration itself.
    pub limits: Option<RawPlanLimits>,
    /// A file of comma-separated values with an FSU a row, relative to this file. Columns are keys of an FSU and `param.NAME`.
    pub fsu_csv: Option<At<String>>,
    /// The FSUs.
    pub fsu_list: Option<Vec<At<RawFsu>>>,
    /// Faults made on purpose, for every FSU.
    pub faults: Option<At<RawFaults>>,
    /// Faults by time.
    pub faults_at: Option<Vec<At<RawFaultsAt>>>,
}

/// `limits` of sys_config.json: limits of the configuration itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawPlanLimits {
    /// Memory that the configuration may take, in bytes, files included. Default 536870912; a reload may take as much again.
    pub plan_bytes_max: Option<At<u64>>,
}

/// `log` of sys_config.json (spec device-log.md).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RawLog {
    /// System log level: off, error, warn, info (default), debug, trace. Never changes the device log.
    pub level: Option<At<String>>,
    /// Directory of both logs. Default `./logs`, from the working directory.
    pub dir: Option<At<String>>,
    /// System log file name, with strftime directives. Default `system_%Y%m%d.log`.
    pub file: Option<At<String>>,
    /// Bytes after which a log file is rotated. Default 10485760.
    pub max_size: Option<At<u64>>,
    /// Days after which a log file is deleted. Default 7.
    pub max_age: Option<At<u64>>,
    /// false: flush the system log after every line. Default true.
    #[serde(rename = "async_write")]
    pub async_write: Option<At<bool>>,
    /// Device log labels: `zh` (default) or `en`.
    pub language: Option<At<String>>,
    /// What to do when the device-log queue is full: `drop` (default; counted and noted in the log) or `block`.
    #[serde(rename = "on_full")]
    pub on_full: Option<At<String>>,
}

/// `performance` of sys_config.json.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawPerformance {
    /// No delays, no device log. Default false.
    pub enabled: Option<At<bool>>,
    /// Performance mode drops the delays. Default true.
    pub skip_delay: Option<At<bool>>,
    /// Performance mode drops the device log. Default true.
    pub skip_device_log: Option<At<bool>>,
}

/// `sc_iot_center` of sys_config.json.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawCenter {
    /// IP address. Default 127.0.0.1.
    pub host: Option<At<String>>,
    /// UDP port.
    pub port: Option<At<u64>>,
}

/// One entry of `fsu_list`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawFsu {
    /// true: no FSU; its keys are those that the rows of `fsu_csv` leave out. Default false.
    pub template: Option<At<bool>>,
    /// Unique name, safe as a file name.
    pub fsuname: Option<At<String>>,
    /// FSU id as hex, up to 20 bytes; required for udp.
    pub fsuid: Option<At<String>>,
    /// Listen address. Default 127.0.0.1.
    pub host: Option<At<String>>,
    /// Listen addresses of `count` FSUs in turn, instead of `host`: a network (`127.1.0.0/16`) or FIRST-LAST.
    pub hosts: Option<At<String>>,
    /// Listen port; 0: any free one.
    pub port: Option<At<u64>>,
    /// Listen ports of `count` FSUs in turn, instead of `port`: FIRST-LAST (`22001-42000`). With `hosts`: all ports of the first
    /// address, then those of the next one.
    pub ports: Option<At<String>>,
    /// udp, tcp, datagram or broadcast.
    pub protocol_type: Option<At<String>>,
    /// Seconds between heartbeats (udp). Default 120.
    pub heartbeat_interval: Option<At<f64>>,
    /// Send heartbeats (udp). Default true.
    pub heartbeat_enable: Option<At<bool>>,
    /// Answer a centre's heartbeat with one. Default false.
    pub heartbeat_reply: Option<At<bool>>,
    /// Directory that holds fsu_devices.json.
    pub config_dir: Option<At<String>>,
    /// Number of FSUs that this entry makes: port + i (or as `hosts` and `ports` say), name `_00001`…, id's trailing digits + i. Default 1.
    pub count: Option<At<u64>>,
    /// Seconds without a frame after which a centre is offline (udp). Default 360.
    pub client_timeout: Option<At<f64>>,
    /// Answer frames addressed to another FSU's id. Default false.
    pub accept_any_id: Option<At<bool>>,
    /// RtnFlags accepted in requests (udp), two hex digits each. Default: only EE.
    pub accept_rtn_flags: Option<At<Vec<At<String>>>>,
    /// Networks from which centres may send requests to this FSU, instead of the common `allow`.
    pub allow: Option<At<Vec<At<String>>>>,
    /// Where this FSU dials out to, instead of `port` or beside it (tcp, udp, datagram).
    pub connect: Option<At<RawConnect>>,
    /// tcp: the connections that this FSU accepts are TLS.
    pub tls: Option<At<RawTls>>,
    /// Limits of this FSU.
    pub limits: Option<RawLimits>,
    /// Parameters, read with `param(name)`: texts, whose trailing digits count up with `count`.
    pub params: Option<Map<At<String>>>,
    /// Faults made on purpose.
    pub faults: Option<At<RawFaults>>,
}

/// `connect` of an FSU: the centre that it dials out to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawConnect {
    /// IP address and port of the centre: `192.0.2.1:9000`, `[2001:db8::1]:9000`.
    pub to: Option<At<String>>,
    /// Source addresses, in turn: networks or addresses of this machine. Default: the system chooses.
    pub from: Option<At<Vec<At<String>>>>,
    /// tcp: `[first, most]`: after the first failure an FSU dials again within `first` milliseconds, after each further one within twice
    /// as long, up to `most`. Default `[1000, 60000]`.
    pub reconnect_ms: Option<At<Vec<u64>>>,
    /// tcp: dials a second of the whole fleet. Default: no bound.
    pub per_second: Option<At<u64>>,
    /// tcp: the connections are TLS. `{}`: the CAs that the system trusts, no certificate of its own.
    pub tls: Option<At<RawConnectTls>>,
}

/// `limits` of an FSU. Every one has a default (docs/reference/configuration.md gives reason and memory cost).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawLimits {
    /// Centres that an FSU remembers (udp). Default 64; beyond it the one silent for longest is forgotten.
    pub clients_max: Option<At<u64>>,
    /// TCP connections of this FSU. Default 1024.
    pub connections_max: Option<At<u64>>,
    /// TCP connections of this FSU from one address. Default 1024.
    pub connections_per_peer_max: Option<At<u64>>,
    /// Milliseconds within which a started TCP frame must be complete. Default 5000.
    pub frame_deadline_ms: Option<At<u64>>,
    /// Milliseconds without a complete frame after which a TCP connection is closed. Default 600000.
    pub idle_timeout_ms: Option<At<u64>>,
    /// Milliseconds a TCP peer may leave replies unread. Default 30000.
    pub write_deadline_ms: Option<At<u64>>,
    /// Bytes of replies that may wait on a TCP connection; beyond it the connection is not read. Default 65536.
    pub write_buffer_bytes_max: Option<At<u64>>,
}

/// fsu_devices.json: the devices behind an FSU.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawDevices {
    /// The devices. A TCP frame is matched against them in this order.
    pub device_list: Option<Vec<At<RawDevice>>>,
}

/// One device.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawDevice {
    /// Vendor, as in vendor.json: shown in reports, and selects the defaults there.
    pub vendor: Option<At<String>>,
    /// P_subDevType, two hex digits: 01 serial, 02 USB, 03 IP.
    pub sub_dev_type: Option<At<String>>,
    /// P_subDev_addr, two hex digits.
    pub sub_dev_addr: Option<At<String>>,
    /// Path of the template, from this file.
    pub protocol_template: Option<At<String>>,
    /// A request with a wrong checksum: warn (default; answered, counted), strict (not answered), off.
    pub verify_checksum: Option<At<String>>,
    /// Memory areas that `mem()` reads and `store` of a rule writes: name -> area.
    pub memory: Option<Map<At<RawArea>>>,
    /// Keyed registers: name -> limits.
    pub registers: Option<Map<At<RawKeyed>>>,
    /// Faults made on purpose.
    pub faults: Option<At<RawFaults>>,
}

/// vendor.json: defaults for what a vendor's templates leave out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RawVendors(pub Vec<At<RawVendor>>);

/// One vendor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawVendor {
    /// Its name, as templates and devices write it.
    pub vendor: Option<At<String>>,
    /// For information only: UDP, TCP, RS485.
    pub protocol: Option<At<String>>,
    /// Default checksum.
    pub checksum: Option<At<OneOrMany<At<RawChecksum>>>>,
    /// Default encoding.
    pub encoding: Option<At<String>>,
}

/// A protocol template.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawTemplate {
    /// The vendor's name, as in vendor.json.
    pub vendor: Option<At<String>>,
    /// Rule files, relative to this file. Their base names decide which one applies.
    pub rule_file_list: Option<Vec<At<String>>>,
    /// A single rule file. With `rule_file_list` it is the last of the list.
    pub rule_file: Option<At<String>>,
    /// The frame and its commands.
    pub protocol: Option<At<RawProtocol>>,
    /// Other layouts of the same vendor, by name: each like `protocol`, with its own header, tail, checksum and entries.
    pub frames: Option<Map<At<RawProtocol>>>,
    /// The inner checksum; same as in `protocol`.
    pub checksum: Option<At<OneOrMany<At<RawChecksum>>>>,
    /// The inner checksum as byte offsets; same as in `protocol`.
    pub checksum_config: Option<At<RawChecksumConfig>>,
}

/// `protocol` of a template.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawProtocol {
    /// false: the inner frame is always total_length bytes.
    pub dynamic_length: Option<At<bool>>,
    /// Bytes of the whole inner frame, when fixed.
    pub total_length: Option<At<u64>>,
    /// Bytes of the longest request on a stream, before encoding: a longer length does not begin a frame. Default: the longest that
    /// a command lists, at least 256; 65535 where a command has no req_data_list.
    pub request_bytes_max: Option<At<u64>>,
    /// Header fields, in wire order.
    pub pdu_left: Option<Vec<At<RawField>>>,
    /// Tail fields, in wire order.
    pub pdu_tailer: Option<Vec<At<RawField>>>,
    /// The fields that name the command: a name, `{a}_{b}`, or a list of names.
    pub data_frame_type_flag: Option<OneOrMany<At<String>>>,
    /// The commands.
    pub data_frame: Option<Vec<At<RawCommand>>>,
    /// The inner checksum, or a list of them.
    pub checksum: Option<At<OneOrMany<At<RawChecksum>>>>,
    /// The inner checksum as byte offsets.
    pub checksum_config: Option<At<RawChecksumConfig>>,
    /// `binary` (default) or `ascii_hex`.
    pub encoding: Option<At<String>>,
    /// A change of every byte of the data frame on its way.
    pub data_transform: Option<At<RawTransform>>,
    /// What is around a frame on its way, and escapes.
    pub envelope: Option<At<RawEnvelope>>,
    /// Replies to requests that are wrong.
    pub errors: Option<RawErrors>,
    /// Header values that do not mean a refusal.
    pub refusal: Option<At<RawRefusal>>,
    /// Multi-frame transfers (spec broadcast.md).
    pub transfer: Option<At<RawTransfer>>,
}

/// `transfer` of a template: data that follows an answer in separate frames (protocol_type broadcast).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawTransfer {
    /// The command of a data frame, in the notation of the field `cmd`.
    pub data_cmd: Option<At<Json>>,
    /// The command that asks for a data frame.
    pub next_cmd: Option<At<Json>>,
    /// The header field that holds the command. Default `Cmd`.
    pub cmd: Option<At<String>>,
    /// The header field that holds the sequence number. Default `SN`.
    pub sn: Option<At<String>>,
    /// The header field that holds the device id. Default `DID`.
    pub did: Option<At<String>>,
    /// The header field that holds 0 in an answer that accepts. Default `Accept`.
    pub accept: Option<At<String>>,
    /// The bit of the sequence number that marks the last frame; the bits below it are the number. Default 15.
    pub last_bit: Option<At<u64>>,
    /// Payload bytes of a data frame. Default 1024.
    pub chunk_bytes: Option<At<u64>>,
    /// Milliseconds after which an idle transfer has ended. Default 5000.
    pub transfer_timeout_ms: Option<At<u64>>,
    /// Open transfers of one FSU. Default 64; beyond it a command with data is refused.
    pub transfers_max: Option<At<u64>>,
    /// Payload bytes of one transfer. Default 33554432: 32768 frames of 1024 bytes.
    pub bytes_max: Option<At<u64>>,
    /// Header values of a refusal. Default: what all commands' replies agree on, and 01 in the field `accept`.
    pub refused: Option<Map<At<Json>>>,
}

/// A change of bytes on their way: first `add`, then `xor`. Values are in plain form.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawTransform {
    /// Added to every byte, modulo 256: two hex digits.
    pub add: Option<At<String>>,
    /// XORed with every byte: two hex digits.
    pub xor: Option<At<String>>,
}

/// `envelope` of a template. All values are hex digits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawEnvelope {
    /// The bytes that a frame begins with.
    pub start: Option<At<String>>,
    /// The bytes that it ends with. They may be those of `start`; then two frames may share one mark.
    pub end: Option<At<String>>,
    /// A byte between the marks -> the bytes that travel for it.
    pub escape: Option<Map<At<String>>>,
    /// Bytes that may come before a frame.
    pub skip: Option<At<String>>,
    /// What is sent before each frame.
    pub preamble: Option<At<String>>,
}

/// One field of a header, tail or data frame.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawField {
    /// Its name. `{pdu_left}_x` and `{pdu_tailer}_x` refer to a header or tail field; a plain name never does.
    pub name: Option<At<String>>,
    /// Bytes, before encoding; of a data frame's field also `{"field": "n"}`, or `rest`: what is left of the data frame.
    pub length: Option<At<RawExtent>>,
    /// big (default) or little.
    pub endian: Option<At<String>>,
    /// hex (default), int, int_be, int_le, uint, bcd, sbcd, dec, hexdigits, bit, str, ascii, length, f32, f64, epoch, cp56time2a; in a data list also list, choice.
    #[serde(rename = "type")]
    pub kind: Option<At<String>>,
    /// Constant or default, in the type's notation; in a request also functions.
    pub value: Option<At<Json>>,
    /// bit: name -> [from, to], bit 0 the most significant, both inclusive.
    pub bits: Option<Map<At<Vec<u64>>>>,
    /// The request must carry this constant for the entry to match.
    #[serde(rename = "match")]
    pub matches: Option<At<bool>>,
    /// length: names of the fields that it counts (`data_frame` is the whole data frame).
    pub of: Option<At<OneOrMany<At<String>>>>,
    /// length: bytes (default) or chars. epoch: s (default) or ms. Any other number: the unit of its value, for people.
    pub unit: Option<At<String>>,
    /// length: added to the count.
    pub add: Option<At<i64>>,
    /// length: `lchksum` puts a check nibble into the top 4 of 16 bits.
    pub check: Option<At<String>>,
    /// Numbers: what the number on the wire is multiplied by to give its value. Default 1.
    pub scale: Option<At<f64>>,
    /// Numbers: what is then added. Default 0.
    pub offset: Option<At<f64>>,
    /// Value, as in JSON -> its name, which rules may use.
    #[serde(rename = "enum")]
    pub names: Option<Map<At<String>>>,
    /// epoch: hours that the clock it counts is before UTC. Default 0.
    pub offset_h: Option<At<f64>>,
    /// str: the character set, a label of the WHATWG encoding standard. Default utf-8.
    pub charset: Option<At<String>>,
    /// str: the character that fills it. Default: `padding` of the command, else the byte 00.
    pub pad: Option<At<String>>,
    /// In place of `length`: the field goes up to these bytes (hex digits), which are no part of its value.
    pub until: Option<At<String>>,
    /// Most bytes of a field whose size varies, most items of a list. Default 1024; of `"length": "rest"` what the frame has room for.
    pub max: Option<At<u64>>,
    /// list: how many items; `rest`: as many as fit.
    pub count: Option<At<RawExtent>>,
    /// list: the fields of an item.
    pub items: Option<At<Vec<At<RawField>>>>,
    /// choice: the earlier field that selects the case.
    pub by: Option<At<String>>,
    /// choice: that field's value -> the fields that follow then; `else`: after any other value.
    pub cases: Option<At<RawCases>>,
    /// choice: its bytes, whatever the case has.
    pub bytes: Option<At<RawExtent>>,
    /// A change of every byte of the field on its way.
    pub transform: Option<At<RawTransform>>,
    /// Not in files: the `value` is that of a reply, and not a default. Of fields that a template's header hands on to its data lists.
    #[serde(skip)]
    pub given: bool,
}

/// The fields of each case.
pub type RawCases = Map<At<Vec<At<RawField>>>>;

/// One command.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawCommand {
    /// A name for `frame` of a rule's `replies`.
    pub name: Option<At<String>>,
    /// `up`: only a rule's `replies` or a message send it, and no request is it. Default `both`.
    pub direction: Option<At<String>>,
    /// Its key: `108B`, `48_F0_E1`, or a list of the parts.
    pub data_frame_type: Option<OneOrMany<At<String>>>,
    /// Bytes (see Lengths); absent: the sum of the fields.
    pub data_frame_length: Option<At<u64>>,
    /// Alignment of values shorter than the field (hex, str, bcd): left (default) or right.
    pub align: Option<At<String>>,
    /// The padding byte, two hex digits. Default 00. Without `align` and this, short bcd values get leading zeros.
    pub padding: Option<At<String>>,
    /// The request's data frame; absent: any.
    pub req_data_list: Option<Vec<At<RawField>>>,
    /// The reply's data frame.
    pub resp_data_list: Option<Vec<At<RawField>>>,
}

/// `checksum` of a template.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawChecksum {
    /// The field that holds it. Default: the tail field named `checksum` or `check`.
    pub field: Option<At<String>>,
    /// sum, xor, sum_xor, lrc, sum16, ones16, xor16, crc16, `crc:NAME` with a name of the CRC catalogue, or a CRC's parameters.
    pub algorithm: Option<At<RawAlgorithm>>,
    /// First field; default the one after the first field of the frame.
    pub from: Option<At<String>>,
    /// Last field (`data_frame`: the whole data frame); default the one before the checksum field.
    pub to: Option<At<String>>,
    /// none (default), ones or twos.
    pub complement: Option<At<String>>,
    /// raw (default) or wire: what travels: the encoded characters, or the changed bytes.
    pub over: Option<At<String>>,
    /// What its own bytes count as if the span covers them: `zero` or `skip`. Without it such a span is an error.
    #[serde(rename = "self")]
    pub itself: Option<At<String>>,
    /// A checksum behind each block of this many bytes of the data frame, and behind the rest. It is no part of the data.
    pub blocks: Option<At<u64>>,
    /// Byte order of 16-bit words, and of the checksums of blocks: big (default) or little.
    pub endian: Option<At<String>>,
    /// Bytes of the checksum behind a block. Default: those of the algorithm.
    pub length: Option<At<u64>>,
}

/// `checksum_config` of a template: the same as byte offsets of the raw frame.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawChecksumConfig {
    /// As in `checksum`.
    pub algorithm: Option<At<RawAlgorithm>>,
    /// First byte; negative: from the end of the frame.
    pub start: Option<At<i64>>,
    /// The byte after the last one; negative: from the end of the frame. Bytes of the checksum itself count as 00.
    pub end: Option<At<i64>>,
    /// As in `checksum`.
    pub field: Option<At<String>>,
    /// As in `checksum`.
    pub complement: Option<At<String>>,
}

/// `errors` of a template. A request with a reason that has no entry is not answered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawErrors {
    /// The length field's own check is wrong.
    pub bad_length_checksum: Option<At<RawErrorReply>>,
    /// The length contradicts the frame.
    pub bad_length: Option<At<RawErrorReply>>,
    /// The checksum is wrong (`verify_checksum: strict`).
    pub bad_checksum: Option<At<RawErrorReply>>,
    /// A header constant marked `match` differs.
    pub bad_version: Option<At<RawErrorReply>>,
    /// No command has that key.
    pub unknown_command: Option<At<RawErrorReply>>,
}

/// The reply to a wrong request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawErrorReply {
    /// Field -> value.
    pub data: Option<Map<At<Json>>>,
    /// Its data frame; absent: empty.
    pub resp_data_list: Option<Vec<At<RawField>>>,
}

/// `refusal` of a template.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawRefusal {
    /// The header field that shows a refusal.
    pub field: Option<At<String>>,
    /// Values that do not mean a refusal. With any other value the data frame is empty.
    pub ok: Option<OneOrMany<At<Json>>>,
}

pub use super::messages::RawRules;

/// Field -> value.
pub type RawData = Map<At<Json>>;

/// One rule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawRule {
    /// Reply after a random time in [min(50, delay_ms), delay_ms] ms; 0 or absent: at once.
    pub delay_ms: Option<At<f64>>,
    /// A delay distribution instead.
    pub delay: Option<At<RawDelay>>,
    /// Field -> value.
    pub data: Option<Map<At<Json>>>,
    /// true: no reply.
    pub timeout: Option<At<bool>>,
    /// Only for requests with these values; or a condition: `door >= 1 && reg(mode) != 2`.
    pub when: Option<At<RawWhen>>,
    /// Data objects, used in turn.
    pub cycle: Option<At<Vec<At<RawData>>>>,
    /// Number of replies to one request, sent back to back: the next entries of `cycle`. Default 1, at most 1000.
    pub burst: Option<At<RawBurst>>,
    /// The frames that answer one request, in order; in place of `data` and `cycle`.
    pub replies: Option<At<Vec<At<RawReply>>>>,
    /// Register -> value, stored per device and read with `${reg(name)}$`. `name[key]`: an entry of a keyed register; null takes
    /// it out, and `name[]` all. `count(name)` and null: the counter begins again.
    pub set: Option<Map<At<Json>>>,
    /// Bytes that are written into a memory area; one, or several in order.
    pub store: Option<OneOrMany<At<RawStore>>>,
    /// File whose content the transfer carries instead of the data frame, relative to this file; `.hex`: hex digits and # comments.
    pub data_file: Option<At<String>>,
    /// Generated data that the transfer carries instead of the data frame.
    pub data_bytes: Option<At<RawDataBytes>>,
    /// Faults made on purpose.
    pub faults: Option<At<RawFaults>>,
}

/// `store` of a rule: bytes that are written into a memory area of the device.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawStore {
    /// The area, of `memory` in fsu_devices.json.
    pub area: Option<At<String>>,
    /// An expression: the first byte. In place of `bit`.
    pub at: Option<At<Json>>,
    /// An expression: the first bit; the low bit of a byte comes first. In place of `at`.
    pub bit: Option<At<Json>>,
    /// Beside `bit`, an expression: how many bits. Default 1.
    pub count: Option<At<Json>>,
    /// An expression: what is written. A field's bytes as they travel; a number takes `bytes`, the high byte first.
    pub value: Option<At<Json>>,
    /// Beside `at`: the bytes of a number, 1 to 8.
    pub bytes: Option<At<u64>>,
}

/// One of `memory` of a device.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawArea {
    /// Its bytes.
    pub bytes: Option<At<u64>>,
    /// First byte -> hex digits, or functions that give some. Other bytes are 00.
    pub init: Option<Map<At<Json>>>,
}

/// One of `registers` of a device.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawKeyed {
    /// The most entries of this keyed register; with one more the oldest goes. Default 1024.
    pub entries_max: Option<At<u64>>,
}

/// One of `replies`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawReply {
    /// The entry of `data_frame` whose reply it is, by name or key; `layout/KEY`: an entry of that layout of `frames`. Default: the
    /// request's own.
    pub frame: Option<At<String>>,
    /// Bytes that are sent as they are (hex digits), without header, checksum and encoding.
    pub raw: Option<At<String>>,
    /// Field -> value.
    pub data: Option<Map<At<Json>>>,
    /// Milliseconds after the reply before it; of the first, after the request in addition to the rule's delay. Default 0.
    pub delay_ms: Option<At<u64>>,
}

/// `data_bytes`: generated data (docs/describe/broadcast.md describes the generator).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawDataBytes {
    /// Number of bytes.
    pub bytes: Option<At<u64>>,
    /// Seed of the generator. Default 0.
    pub seed: Option<At<u64>>,
}

/// `delay`: one of its keys, in milliseconds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawDelay {
    /// Always this long.
    pub fixed: Option<At<f64>>,
    /// [a, b]
    pub uniform: Option<At<Vec<f64>>>,
    /// [mean, standard deviation]
    pub normal: Option<At<Vec<f64>>>,
    /// [median, 99th percentile]
    pub lognormal: Option<At<Vec<f64>>>,
}

/// `faults`: faults made on purpose, each with a probability from 0 to 1. The closest place wins, key by
/// key: rule, device, FSU, sys_config.json; an entry of `faults_at` wins over all of them while it is in force.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawFaults {
    /// The reply is not sent.
    pub drop: Option<At<f64>>,
    /// The reply is sent twice.
    pub duplicate: Option<At<f64>>,
    /// One bit is flipped after the checksums, before escaping.
    pub corrupt: Option<At<f64>>,
    /// The inner checksum is wrong.
    pub bad_checksum: Option<At<f64>>,
    /// P_verify is wrong (udp).
    pub bad_verify: Option<At<f64>>,
    /// The reply is cut at a random byte.
    pub truncate: Option<At<f64>>,
    /// The reply carries another command's key.
    pub wrong_type: Option<At<f64>>,
    /// Random bytes of the reply's size.
    pub garbage: Option<At<f64>>,
    /// The reply is held back for this long while later ones pass.
    pub reorder_ms: Option<At<RawFaultDelay>>,
    /// The reply is delayed further by this long.
    pub extra_delay_ms: Option<At<RawFaultDelay>>,
    /// tcp: the connection is reset (RST) instead of the reply.
    pub reset: Option<At<f64>>,
    /// tcp: from this reply on the connection is read, but never answered.
    pub stall: Option<At<f64>>,
    /// tcp: the FSU closes its half of the connection (FIN) instead of the reply.
    pub half_close: Option<At<f64>>,
    /// tcp: the reply is sent in pieces.
    pub split: Option<At<RawSplit>>,
    /// An outage: the FSU neither answers nor sends heartbeats, and refuses TCP connections. Not at a device or a rule.
    pub offline: Option<At<bool>>,
}

/// A fault that takes time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawFaultDelay {
    /// Probability, 0 to 1.
    pub p: Option<At<f64>>,
    /// Milliseconds, 1 to 3600000.
    pub ms: Option<At<u64>>,
}

/// `split` of `faults`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawSplit {
    /// Probability, 0 to 1.
    pub p: Option<At<f64>>,
    /// Pieces, 2 (default) to 64; never more than the reply has bytes.
    pub pieces: Option<At<u64>>,
    /// Milliseconds between two pieces, 1 to 60000. Default 20.
    pub gap_ms: Option<At<u64>>,
}

/// One entry of `faults_at`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawFaultsAt {
    /// Seconds after the start at which it begins. Default 0.
    pub from_s: Option<At<f64>>,
    /// Seconds after the start at which it ends. Default: never.
    pub to_s: Option<At<f64>>,
    /// Names of the FSUs, `*` and `?` allowed. Default: all.
    pub fsu: Option<At<String>>,
    /// The faults made in that time.
    pub faults: Option<At<RawFaults>>,
    /// The same as `offline` in `faults`.
    pub offline: Option<At<bool>>,
}
