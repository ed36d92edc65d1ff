//! The centre's side of a conversation: requests built from a template, and their answers. Sans-I/O like the FSU's side: time
//! is an argument, bytes go in and out.
//!
//! - [`request`]: a request from the template's values and given ones.
//! - [`varying`]: of one whose fields vary in size.
//! - [`exchange`]: one command: its answer and, where data follows, its transfer, with a bounded number of retries.
//! - [`layouts`]: replies of other layouts of a template.
//! - [`own`]: a device with the parameters and the id of one FSU.
//! - [`commands`]: the commands of one device, one at a time.
//! - [`verify`]: what the plan says that the payload should have been.

pub mod commands;
pub mod exchange;
pub mod layouts;
pub mod own;
pub mod request;
pub mod varying;
pub mod verify;
