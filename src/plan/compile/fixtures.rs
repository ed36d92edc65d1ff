//! A configuration that tests change.

use serde_json::{Value, json};

/// A small configuration over UDP, by file: one FSU, one device, one command with its rule.
pub fn files() -> Value {
    let byte = |name: &str, value: &str| json!({"name": name, "length": 1, "value": value});
    let field = |name: &str, kind: &str, length: u32| json!({"name": name, "type": kind, "length": length});
    json!({
        "sys_config.json": {"fsu_list": [
            {"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": "."}
        ]},
        "fsu_devices.json": {"device_list": [
            {"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}
        ]},
        "t.json": {"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
            "data_frame_type_flag": "command",
            "checksum": {"algorithm": "sum"},
            "pdu_left": [byte("start", "7E"), byte("address", "01"), field("command", "hex", 1)],
            "pdu_tailer": [field("checksum", "hex", 1), byte("end", "0D")],
            "data_frame": [{
                "data_frame_type": "01",
                "req_data_list": [field("phase", "uint", 1), field("power", "f32", 4)],
                "resp_data_list": [field("power", "f32", 4), field("shown", "str", 60)]
            }]
        }},
        "default.json": {"01": {"data": {"power": 1.5}}}
    })
}
