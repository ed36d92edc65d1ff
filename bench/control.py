"""What the control server costs, and how fast it answers. Started by bench/control.sh."""

import argparse
import http.client
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

TRACKER = "docs/examples/tracker/site/protocol.json"
RULES = {
    "messages": {
        "alarm": {"frame": "alarm", "on": "trigger", "data": {"imei": "${param(imei)}$", "serial": "${count(serial, 1)}$"}}
    },
    "8200": {"data": {"speed": "7"}},
}


class Mock:
    """A run of the mock that ends with the block."""

    def __init__(self, args, tree, more):
        command = ["taskset", "-c", str(args.server_cpu), args.program, "run", "--config", tree, "--shards", "1", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.control = [], None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("control: http://"):
                host, port = line.split("//")[1].strip().rstrip("/").rsplit(":", 1)
                self.control = (host, int(port))
            if line.startswith("ready"):
                break
        else:
            raise SystemExit("not ready: " + "".join(self.lines[-20:]))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def ask(self, method, path, body=None):
        """Status, body, seconds to the first byte, seconds in all: on a connection of its own."""
        begun = time.perf_counter()
        connection = http.client.HTTPConnection(*self.control, timeout=30)
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        first = time.perf_counter() - begun
        text = answer.read()
        connection.close()
        return answer.status, text, first, time.perf_counter() - begun

    def metric(self, name):
        text = self.ask("GET", "/metrics")[1].decode()
        return max(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def tree(directory, fsus, first_port, is_tracker=False):
    """A configuration of that many FSUs, and where it is."""
    os.makedirs(f"{directory}/site", exist_ok=True)
    with open(TRACKER, encoding="utf-8") as source, open(f"{directory}/site/protocol.json", "w", encoding="utf-8") as copy:
        copy.write(source.read())
    device = {"vendor": "demo_tracker", "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "./protocol.json"}
    with open(f"{directory}/site/fsu_devices.json", "w", encoding="utf-8") as file:
        json.dump({"device_list": [device]}, file)
    with open(f"{directory}/site/default.json", "w", encoding="utf-8") as file:
        json.dump(RULES, file)
    fsu = {
        "fsuname": "site_1", "host": "127.0.0.1", "port": first_port, "count": fsus, "protocol_type": "datagram",
        "config_dir": "./site", "params": {"imei": "86000001"},
    }
    config = {"fsu_list": [fsu], "log": {"path": f"{directory}/log"}, "performance": {"skip_device_log": True}}
    path = f"{directory}/sys_config.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


def flood(args, path, seconds):
    """Replies a second, closed loop."""
    report = f"{os.path.dirname(path)}/flood.json"
    command = [
        "taskset", "-c", str(args.generator_cpu), args.program, "flood", "--config", path, "--datagram", "--window", "64",
        "--seconds", str(seconds), "--warmup", "1", "--quiet", "--json", report,
    ]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(report, encoding="utf-8") as file:
        return json.load(file)["totals"]["replies_per_s"]


def look(mock, stop):
    """A scrape a second, and an open stream of events."""
    stream = socket.create_connection(mock.control)
    stream.sendall(b"GET /v1/events?map=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    next_s = time.monotonic()
    while not stop.is_set():
        if time.monotonic() >= next_s:
            next_s += 1
            mock.ask("GET", "/metrics")
        if select.select([stream], [], [], 0.05)[0]:
            stream.recv(1 << 20)
    stream.close()


def cost(args, directory):
    path = tree(directory, 8, 11000)
    ratios = []
    for _ in range(args.rounds):
        with Mock(args, path, ["--performance", "--control", "off"]) as mock:
            without = flood(args, path, args.seconds)
        with Mock(args, path, ["--performance", "--control", "127.0.0.1:0"]) as mock:
            stop = threading.Event()
            looking = threading.Thread(target=look, args=(mock, stop))
            looking.start()
            watched = flood(args, path, args.seconds)
            stop.set()
            looking.join()
        ratios.append(watched / without)
        print(f"cost     off {without:,.0f}/s  watched {watched:,.0f}/s  ratio {ratios[-1]:.3f}", flush=True)
    print(f"cost     median ratio {statistics.median(ratios):.3f}  (goal 0.98)")


def scrape(args, directory):
    path = tree(directory, args.fsus, 11000)
    with Mock(args, path, ["--performance", "--control", "127.0.0.1:0"]) as mock:
        times = []
        for _ in range(30):
            # Figures are shared for 250 ms.
            time.sleep(0.3)
            _, text, _, seconds = mock.ask("GET", "/metrics")
            times.append(seconds * 1e3)
        times.sort()
        held_us = mock.metric("fsu_mock_held_seconds_max{") * 1e6
        print(
            f"scrape   {args.fsus} FSUs: median {times[15]:.2f} ms  max {times[-1]:.2f} ms  {len(text) / 1024:.1f} KiB  "
            f"shard held up {held_us:.0f} us at most  (goals 5 ms, 256 KiB, 100 us)"
        )


def trigger(args, directory):
    path = tree(directory, args.fsus, 11000)
    with Mock(args, path, ["--performance", "--control", "127.0.0.1:0"]) as mock:
        # Every FSU knows a centre once it was asked.
        centre = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        centre.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        data = bytes.fromhex("8200860000010001" + "00")
        request = b"\x7e" + data + bytes([sum(data) & 255, 0x0D])
        for number in range(args.fsus):
            centre.sendto(request, ("127.0.0.1", 11000 + number))
            centre.recv(2048)
        for over_ms in (0, 1000):
            got = []
            begun = time.perf_counter()

            def listen():
                centre.settimeout(3)
                try:
                    while len(got) < args.fsus:
                        centre.recv(2048)
                        got.append(time.perf_counter() - begun)
                except TimeoutError:
                    pass

            listener = threading.Thread(target=listen)
            listener.start()
            begun = time.perf_counter()
            status, text, first, _ = mock.ask("POST", "/v1/fsus/*/trigger", {"message": "alarm", "over_ms": over_ms})
            listener.join()
            told = json.loads(text).get("triggered") if status == 200 else text[:200]
            last_ms = got[-1] * 1e3 if got else float("nan")
            print(
                f"trigger  over {over_ms} ms: first byte {first * 1e3:.1f} ms  {told} triggered, {len(got)} received, "
                f"the last after {last_ms:.0f} ms  (goals 50 ms, 200 ms or as asked)"
            )
        print(f"trigger  shard held up {mock.metric('fsu_mock_held_seconds_max{') * 1e6:.0f} us at most")


def page(args, directory):
    """What a browser loads at first, one after another on one connection."""
    path = tree(directory, args.fsus, 11000)
    with Mock(args, path, ["--performance", "--control", "127.0.0.1:0"]) as mock:
        index = mock.ask("GET", "/")[1].decode()
        source = [part.split('"')[0] for part in index.replace('src="', 'href="').split('href="')[1:]]
        seen, queue, size = [], ["/"] + [s for s in source if s.startswith("/static/")], 0
        begun = time.perf_counter()
        connection = http.client.HTTPConnection(*mock.control, timeout=30)
        while queue:
            asset = queue.pop(0)
            if asset in seen:
                continue
            seen.append(asset)
            connection.request("GET", asset)
            body = connection.getresponse().read()
            size += len(body)
            if asset.endswith(".js"):
                text = body.decode()
                queue += ["/static/" + part.split("'")[0] for part in text.split("from './")[1:]]
        for call in ("/v1/run", "/v1/snapshot?map=1"):
            connection.request("GET", call)
            size += len(connection.getresponse().read())
        print(
            f"page     {len(seen)} files and the first figures: {(time.perf_counter() - begun) * 1e3:.0f} ms, "
            f"{size / 1024:.0f} KiB  (goals 300 ms, 200 KiB)"
        )


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "rounds", "seconds", "fsus", "server-cpu", "generator-cpu"):
        parser.add_argument(f"--{name}", type=str if name == "program" else int, required=True)
    parser.add_argument("asked", nargs="+")
    args = parser.parse_args()
    kinds = {"cost": cost, "scrape": scrape, "trigger": trigger, "page": page}
    for name in args.asked:
        with tempfile.TemporaryDirectory() as directory:
            kinds[name](args, directory)


main()
