#!/usr/bin/env python3
"""A mock of FSUs as they are often written: asyncio, one DatagramProtocol per FSU, frames decoded to dicts and encoded
from dicts. It is here to be measured against, so it does what is needed and no more, and nothing is slower than this
style makes it: templates and rules are read once, sums and escapes are left to built-ins, nothing is logged, nothing is
delayed.

mock.py CONFIG [--performance]: a sys_config.json or its directory; UDP FSUs whose frames have a fixed length and a sum
as checksum. --performance is accepted, and is always on.
"""

import argparse
import asyncio
import datetime
import json
import pathlib
import re
import socket

RECEIVE_BUFFER_BYTES = 4 << 20
WORD = re.compile(r"#\{(\w+)\}#|\$\{(\w+)\((\w*)\)\}\$")
OVERHEAD_BYTES = 40
# How a list of data fields names one of the header's.
HEADER = "{pdu_left}_"


class BadFrame(Exception):
    """Not to be answered."""


def unescape(body):
    return body.replace(b"\xfd\x00", b"\xff").replace(b"\xfd\x01", b"\xfe").replace(b"\xfd\x02", b"\xfd")


def escape(body):
    return body.replace(b"\xfd", b"\xfd\x02").replace(b"\xff", b"\xfd\x00").replace(b"\xfe", b"\xfd\x01")


def xor(data):
    """Of all bytes: halves are folded onto each other as long integers."""
    value = int.from_bytes(data, "big")
    bits = 1 << (len(data) * 8 - 1).bit_length()
    while bits > 8:
        bits >>= 1
        value = (value >> bits) ^ (value & ((1 << bits) - 1))
    return value


def decode_outer(datagram):
    """The fields of an outer frame."""
    if len(datagram) < OVERHEAD_BYTES or datagram[0] != 0xFF or datagram[-1] != 0xFE:
        raise BadFrame("header or tailer")
    frame = unescape(datagram[1:-1])
    if xor(frame[:-1]) != frame[-1]:
        raise BadFrame("P_verify")
    length = int.from_bytes(frame[35:37], "little")
    if len(frame) != 38 + length or int.from_bytes(frame[30:32], "little") != length + 5:
        raise BadFrame("length")
    return {
        "dest": frame[0:20],
        "sub_dev_type": frame[28],
        "sub_dev_addr": frame[29],
        "rtn_flag": frame[32],
        "comm_type": int.from_bytes(frame[33:35], "little"),
        "data": frame[37:-1],
    }


def encode_outer(outer):
    """Its bytes, on their way from an FSU."""
    length = len(outer["data"])
    frame = b"".join(
        (
            bytes(8),
            outer["src"],
            bytes((outer["sub_dev_type"], outer["sub_dev_addr"])),
            (length + 5).to_bytes(2, "little"),
            bytes((outer["rtn_flag"],)),
            outer["comm_type"].to_bytes(2, "little"),
            length.to_bytes(2, "little"),
            outer["data"],
        )
    )
    return b"\xff" + escape(frame + bytes((xor(frame),))) + b"\xfe"


def decode_field(field, raw):
    if field["type"] in ("hex", "bcd"):
        return (raw[::-1] if field["endian"] == "little" else raw).hex().upper()
    return int.from_bytes(raw, field["endian"])


def encode_field(field, value):
    length = field["length"]
    if field["type"] in ("hex", "bcd"):
        raw = bytes.fromhex(value.zfill(2 * length))
        return raw[::-1] if field["endian"] == "little" else raw
    return int(value).to_bytes(length, field["endian"])


def render(value, fields, now):
    """A rule's value with `#{field}#` and `${function()}$` put in."""
    if not isinstance(value, str) or "{" not in value:
        return value

    def put(match):
        if match[1]:
            return str(fields[match[1]])
        if match[2] == "year":
            return f"{now.year:04}" if match[3] == "yyyy" else f"{now.year % 100:02}"
        if match[2] == "week":
            return f"{now.isoweekday() % 7 if match[3] == '0' else now.isoweekday():02}"
        if match[2] == "packed_date":
            return ((now.year % 100) << 9 | now.month << 5 | now.day).to_bytes(2, "little").hex()
        if match[2] == "packed_time":
            return (now.hour << 11 | now.minute << 5 | now.second // 2).to_bytes(2, "little").hex()
        return f"{getattr(now, match[2]):02}"

    return WORD.sub(put, value)


class Device:
    """One template with its rules."""

    def __init__(self, path):
        template = json.loads(path.read_text())
        protocol = template["protocol"]
        self.total = protocol["total_length"]
        self.left = self.with_defaults(protocol["pdu_left"])
        self.tail = self.with_defaults(protocol["pdu_tailer"])
        self.flag = protocol["data_frame_type_flag"]
        self.commands = {
            command["data_frame_type"]: {
                "request": self.in_data(command["req_data_list"]),
                "response": self.in_data(command["resp_data_list"]),
                "header": {
                    field["name"].removeprefix(HEADER): field["value"]
                    for field in command["resp_data_list"]
                    if field["name"].startswith(HEADER)
                },
            }
            for command in protocol["data_frame"]
        }
        rules = json.loads((path.parent / template["rule_file_list"][0]).read_text())
        self.rules = {key: rule if isinstance(rule, list) else [rule] for key, rule in rules.items() if key[0] != "_"}
        self.left_length = sum(field["length"] for field in self.left)
        self.tail_length = sum(field["length"] for field in self.tail)
        self.summed = slice(self.left[0]["length"], self.total - self.tail_length)

    @staticmethod
    def with_defaults(fields):
        return [{"endian": "big", **field} for field in fields]

    def in_data(self, fields):
        """Without those that are names for header fields, which take no room."""
        return self.with_defaults(field for field in fields if not field["name"].startswith(HEADER))

    @staticmethod
    def read(fields, frame, at, into):
        for field in fields:
            into[field["name"]] = decode_field(field, frame[at : at + field["length"]])
            at += field["length"]

    def decode(self, frame):
        """All fields of a request by name."""
        if len(frame) != self.total:
            raise BadFrame("length")
        fields = {}
        self.read(self.left, frame, 0, fields)
        if fields["start"] != self.left[0]["value"]:
            raise BadFrame("start")
        command = self.commands.get(fields[self.flag])
        if command is None:
            raise BadFrame("unknown command")
        self.read(command["request"], frame, self.left_length, fields)
        self.read(self.tail, frame, self.total - self.tail_length, fields)
        if fields["end"] != self.tail[-1]["value"]:
            raise BadFrame("end")
        # A wrong checksum is answered all the same; a real one would count it here.
        fields["checksum_ok"] = sum(frame[self.summed]) & 0xFFFF == int(fields["checksum"], 16)
        return fields

    def answer(self, fields, places):
        """The reply to a request, or None."""
        key = fields[self.flag]
        for number, rule in enumerate(self.rules.get(key, ())):
            if all(str(fields[name]) == str(value) for name, value in rule.get("when", {}).items()):
                break
        else:
            return None
        if rule.get("timeout"):
            return None
        values = rule.get("data", {})
        if "cycle" in rule:
            place = places.get((key, number), 0)
            places[key, number] = place + 1
            values = rule["cycle"][place % len(rule["cycle"])]
        now = datetime.datetime.now()
        values = {name: render(value, fields, now) for name, value in values.items()}
        return self.encode(fields, key, values)

    def encode(self, fields, key, values):
        header = fields | self.commands[key]["header"]
        parts = [encode_field(field, header[field["name"]]) for field in self.left]
        for field in self.commands[key]["response"]:
            name = field["name"]
            if name in values:
                parts.append(encode_field(field, values[name]))
            elif name in fields:
                parts.append(encode_field(field, fields[name]))
            else:
                parts.append(encode_field(field, field.get("value", "0")))
        body = b"".join(parts).ljust(self.total - self.tail_length, b"\0")
        values = {"checksum": f"{sum(body[self.summed]) & 0xFFFF:04X}"}
        return body + b"".join(encode_field(f, values.get(f["name"], f.get("value"))) for f in self.tail)


class Fsu(asyncio.DatagramProtocol):
    """One FSU's socket."""

    def __init__(self, fsu_id, devices):
        self.fsu_id = fsu_id
        self.devices = devices
        self.only = next(iter(devices.values())) if len(devices) == 1 else None
        self.places = {}
        self.clients = {}
        self.dropped = 0

    def connection_made(self, transport):
        self.transport = transport
        self.time = asyncio.get_running_loop().time

    def datagram_received(self, data, addr):
        try:
            outer = decode_outer(data)
            if outer["dest"] != self.fsu_id:
                raise BadFrame("another FSU's")
            self.clients[addr] = self.time()
            if outer["comm_type"] != 1 or outer["rtn_flag"] != 0xEE:
                return
            device = self.devices.get((outer["sub_dev_type"], outer["sub_dev_addr"]), self.only)
            if device is None:
                raise BadFrame("unknown device")
            reply = device.answer(device.decode(outer["data"]), self.places)
        except BadFrame:
            self.dropped += 1
            return
        if reply is not None:
            outer.update(src=self.fsu_id, rtn_flag=0, data=reply)
            self.transport.sendto(encode_outer(outer), addr)


def fsus(config):
    """Name, id, host, port and devices of every FSU."""
    devices = {}

    def device(path):
        path = path.resolve()
        if path not in devices:
            devices[path] = Device(path)
        return devices[path]

    for entry in json.loads(config.read_text())["fsu_list"]:
        directory = config.parent / entry["config_dir"]
        listed = json.loads((directory / "fsu_devices.json").read_text())["device_list"]
        of_fsu = {
            (int(one["sub_dev_type"], 16), int(one["sub_dev_addr"], 16)): device(directory / one["protocol_template"])
            for one in listed
        }
        text = bytes.fromhex(entry["fsuid"]).decode()
        digits = re.search(r"\d*$", text)[0]
        for i in range(entry.get("count", 1)):
            number = str(int(digits) + i).zfill(len(digits)) if digits else ""
            fsu_id = (text[: len(text) - len(digits)] + number).encode().ljust(20, b"\0")
            yield fsu_id, entry.get("host", "127.0.0.1"), entry["port"] + i, of_fsu


async def serve(config):
    loop = asyncio.get_running_loop()
    kept = []
    for fsu_id, host, port, devices in fsus(config):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.bind((host, port))
        kept.append(await loop.create_datagram_endpoint(lambda i=fsu_id, d=devices: Fsu(i, d), sock=sock))
    print(f"ready: {len(kept)} FSUs", flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--performance", action="store_true")
    args = parser.parse_args()
    config = args.config / "sys_config.json" if args.config.is_dir() else args.config
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
