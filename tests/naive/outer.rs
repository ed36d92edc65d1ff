//! The outer frame (b-interface.md), built and read the slow way.

/// A downlink or uplink frame's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Outer {
    pub dest: Vec<u8>,
    pub src: Vec<u8>,
    pub sub_dev_type: u8,
    pub sub_dev_addr: u8,
    pub rtn_flag: u8,
    pub comm_type: u16,
    /// `None` in a heartbeat.
    pub data: Option<Vec<u8>>,
    /// P_pLen and the through-data length are high byte first.
    pub big: (bool, bool),
}

fn two(value: usize, big: bool) -> [u8; 2] {
    let [low, high] = [value as u8, (value >> 8) as u8];
    if big { [high, low] } else { [low, high] }
}

/// From P_header to P_tailer, before escaping.
pub fn unescaped(o: &Outer) -> Vec<u8> {
    let mut out = vec![0xFF];
    out.extend(&o.dest);
    out.extend(&o.src);
    out.extend([o.sub_dev_type, o.sub_dev_addr]);
    out.extend(two(o.data.as_ref().map_or(3, |d| 5 + d.len()), o.big.0));
    out.push(o.rtn_flag);
    out.extend(two(usize::from(o.comm_type), false));
    if let Some(data) = &o.data {
        out.extend(two(data.len(), o.big.1));
        out.extend(data);
    }
    out.push(out[1..].iter().fold(0, |n, b| n ^ b));
    out.push(0xFE);
    out
}

/// As it goes on the wire.
pub fn escape(unescaped: &[u8]) -> Vec<u8> {
    let mut out = vec![0xFF];
    for byte in &unescaped[1..unescaped.len() - 1] {
        match byte {
            0xFF => out.extend([0xFD, 0]),
            0xFE => out.extend([0xFD, 1]),
            0xFD => out.extend([0xFD, 2]),
            other => out.push(*other),
        }
    }
    out.push(0xFE);
    out
}

pub fn build(o: &Outer) -> Vec<u8> {
    escape(&unescaped(o))
}

/// One frame from FF to FE. `down`: 20 + 8 address bytes, else 8 + 20.
pub fn parse(wire: &[u8], down: bool) -> Result<Outer, &'static str> {
    if wire.first() != Some(&0xFF) {
        return Err("bad_start");
    }
    if wire.len() < 2 || wire.last() != Some(&0xFE) {
        return Err("bad_end");
    }
    let mut b = vec![];
    let mut inside = wire[1..wire.len() - 1].iter();
    while let Some(byte) = inside.next() {
        match byte {
            0xFF | 0xFE => return Err("bad_escape"),
            0xFD => match inside.next() {
                Some(0) => b.push(0xFF),
                Some(1) => b.push(0xFE),
                Some(2) => b.push(0xFD),
                _ => return Err("bad_escape"),
            },
            other => b.push(*other),
        }
    }
    if b.len() < 36 {
        return Err("short");
    }
    let verify = b.pop().unwrap();
    if verify != b.iter().fold(0, |n, x| n ^ x) {
        return Err("bad_checksum");
    }
    // b[0] is offset 1 of the layout.
    let length = |at: usize, wanted: usize| -> Result<bool, &'static str> {
        let (low, high) = (usize::from(b[at]), usize::from(b[at + 1]));
        match wanted {
            w if w == low + 256 * high => Ok(false),
            w if w == high + 256 * low => Ok(true),
            _ => Err("length_mismatch"),
        }
    };
    let big_p = length(30, b.len() - 32)?;
    let comm_type = u16::from(b[33]) + 256 * u16::from(b[34]);
    let (data, big_n) = if comm_type == 2 && b.len() != 35 {
        return Err("length_mismatch");
    } else if comm_type == 2 {
        (None, false)
    } else if b.len() < 37 {
        return Err("length_mismatch");
    } else {
        (Some(b[37..].to_vec()), length(35, b.len() - 37)?)
    };
    let split = if down { 20 } else { 8 };
    Ok(Outer {
        dest: b[..split].to_vec(),
        src: b[split..28].to_vec(),
        sub_dev_type: b[28],
        sub_dev_addr: b[29],
        rtn_flag: b[32],
        comm_type,
        data,
        big: (big_p, big_n),
    })
}

/// A reply to a request: the same device, the other direction, with that through data.
pub fn reply(request: &Outer, id: &[u8], data: Vec<u8>) -> Outer {
    let mut src = id.to_vec();
    src.resize(20, 0);
    Outer { dest: vec![0; 8], src, rtn_flag: 0, data: Some(data), ..request.clone() }
}

/// What an FSU takes for a request: RtnFlag EE, or those that `accept_rtn_flags` lists in its place. A heartbeat may have EE and ED
/// whatever that says. With any other flag a frame whose P_dest_addr begins like a reply's, with eight 00, is none.
pub fn is_request(frame: &Outer, flags: &[u8]) -> bool {
    if frame.comm_type == 2 && [0xEE, 0xED].contains(&frame.rtn_flag) {
        return true;
    }
    if !flags.contains(&frame.rtn_flag) {
        return false;
    }
    (frame.comm_type == 1 && frame.rtn_flag == 0xEE) || frame.dest[..8] != [0; 8]
}

/// What an FSU with that id, which takes these RtnFlags, does with one frame: the request, or why it is dropped. `any`: it answers
/// for every id.
pub fn receive(wire: &[u8], id: &[u8], flags: &[u8], any: bool) -> Result<Outer, &'static str> {
    let frame = parse(wire, true)?;
    if ![1, 2].contains(&frame.comm_type) {
        return Err("unknown_command");
    }
    if !is_request(&frame, flags) {
        return Err("wrong_direction");
    }
    let mut own = id.to_vec();
    own.resize(20, 0);
    if frame.dest != own && !any {
        return Err("wrong_fsu");
    }
    Ok(frame)
}

/// What may be frames in a datagram: from each FF to the next FE, when no other FF comes before it.
pub fn candidates(datagram: &[u8]) -> Vec<&[u8]> {
    let mut out = vec![];
    let mut start = None;
    for (i, byte) in datagram.iter().enumerate() {
        match (byte, start) {
            (0xFF, _) => start = Some(i),
            (0xFE, Some(from)) => {
                out.push(&datagram[from..=i]);
                start = None;
            }
            _ => {}
        }
    }
    out
}
