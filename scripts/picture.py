#!/usr/bin/env python3
"""Pictures of a terminal, for the documents. Called by scripts/picture.sh; needs Python 3 alone.

picture.py shot OUT.svg COLUMNS ROWS SECONDS COMMAND...   screenshot of a program on a terminal of this size, after SECONDS
picture.py text OUT.svg COLUMNS FILE                      a file as a terminal would show it; lines "$ ..." are what was typed
picture.py frame OUT.svg WORDS.json                       the B interface's outer frame as boxes
picture.py page OUT.png WIDTHxHEIGHT SECONDS URL          a page after SECONDS, as Chromium shows it
"""

import base64
import codecs
import fcntl
import html
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
import urllib.request

CELL, LINE, MARGIN, BAR = 8.4, 18, 16, 28
FONT = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
PAPER, INK, DIM, TYPED = "#14181d", "#d7dde4", "#8b96a3", "#7fd1ae"
PALETTE = ["#3b434d", "#e0716c", "#7fc77a", "#d9b25f", "#6fa8dc", "#b98ad6", "#62c0c4", "#d7dde4"]
BRIGHT = ["#8b96a3", "#f08f8a", "#9ee098", "#ecc978", "#8fc1f0", "#d0a6ea", "#82dade", "#ffffff"]


class Screen:
    """As much of a terminal as ratatui and plain text use: the cursor, erasing, colours."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.clear()

    def clear(self):
        self.cells = [[(" ", None, None, False)] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0
        self.ink = self.paper = None
        self.bold = False

    def feed(self, text):
        for escape, char in re.findall(r"(\x1b\[[?>=]?[\d;:]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78M])|(.)", text, re.S):
            self.control(escape) if escape else self.put(char)

    def put(self, char):
        if char == "\n":
            self.row += 1
        elif char == "\r":
            self.column = 0
        elif char >= " ":
            if self.column >= self.columns:
                self.row, self.column = self.row + 1, 0
            while self.row >= self.rows:
                self.cells = self.cells[1:] + [[(" ", None, None, False)] * self.columns]
                self.row -= 1
            self.cells[self.row][self.column] = (char, self.ink, self.paper, self.bold)
            self.column += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        while self.row >= self.rows:
            self.cells = self.cells[1:] + [[(" ", None, None, False)] * self.columns]
            self.row -= 1

    def control(self, escape):
        match = re.fullmatch(r"\x1b\[([?>=]?)([\d;:]*)([A-Za-z])", escape)
        if not match or match[1]:
            return
        numbers = [int(part) if part.isdigit() else 0 for part in re.split("[;:]", match[2])]
        first = numbers[0] or 1
        if match[3] == "H":
            self.row, self.column = first - 1, (numbers[1] if len(numbers) > 1 else 1) - 1
        elif match[3] in "ABCD":
            down, right = {"A": (-1, 0), "B": (1, 0), "C": (0, 1), "D": (0, -1)}[match[3]]
            self.row, self.column = self.row + down * first, self.column + right * first
        elif match[3] == "G":
            self.column = first - 1
        elif match[3] == "J" and numbers[0] == 2:
            self.cells = [[(" ", None, None, False)] * self.columns for _ in range(self.rows)]
        elif match[3] == "K":
            self.cells[self.row][self.column:] = [(" ", None, None, False)] * (self.columns - self.column)
        elif match[3] == "m":
            self.style(numbers)

    def style(self, numbers):
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.ink = self.paper = None
                self.bold = False
            elif number in (1, 22):
                self.bold = number == 1
            elif number == 2:
                self.ink = DIM
            elif number in (38, 48) and numbers:
                colour = self.colour(numbers)
                self.ink, self.paper = (colour, self.paper) if number == 38 else (self.ink, colour)
            elif number in (39, 49):
                self.ink, self.paper = (None, self.paper) if number == 39 else (self.ink, None)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.ink = (PALETTE if number < 90 else BRIGHT)[number % 10]
            elif 40 <= number <= 47:
                self.paper = PALETTE[number - 40]

    @staticmethod
    def colour(numbers):
        if numbers.pop(0) == 2:
            red, green, blue = numbers[:3]
            del numbers[:3]
            return f"#{red:02x}{green:02x}{blue:02x}"
        number = numbers.pop(0)
        if number < 16:
            return (PALETTE + BRIGHT)[number]
        if number >= 232:
            return "#" + f"{8 + 10 * (number - 232):02x}" * 3
        levels = [0, 95, 135, 175, 215, 255]
        number -= 16
        return "#" + "".join(f"{levels[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))


def svg(width, height, body, title):
    label = html.escape(title, quote=True)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img" aria-label="{label}">\n<title>{label}</title>\n{body}</svg>\n')


def terminal(screen, title):
    """The screen as SVG. Each run of cells with one look is one element; blank rows at the end are left out."""
    rows = list(screen.cells)
    while rows and all(cell[0] == " " and cell[2] is None for cell in rows[-1]):
        rows.pop()
    width = screen.columns * CELL + 2 * MARGIN
    height = len(rows) * LINE + BAR + 2 * MARGIN
    body = [f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="{PAPER}"/>\n']
    body += [f'<circle cx="{MARGIN + 6 + 18 * at}" cy="{BAR - 8}" r="5" fill="{colour}"/>\n'
             for at, colour in enumerate(("#e0716c", "#d9b25f", "#7fc77a"))]
    body.append(f'<g font-family="{FONT}" font-size="14" fill="{INK}">\n')
    for at, row in enumerate(rows):
        top = BAR + MARGIN + at * LINE
        start = 0
        while start < len(row):
            look, end = row[start][1:], start
            while end < len(row) and row[end][1:] == look:
                end += 1
            text, (ink, paper, bold) = "".join(cell[0] for cell in row[start:end]), look
            left = MARGIN + start * CELL
            if paper:
                body.append(f'<rect x="{left:.1f}" y="{top}" width="{(end - start) * CELL:.1f}" height="{LINE}" fill="{paper}"/>\n')
            # Words far apart become separate elements: viewers treat runs of spaces differently.
            for words in re.finditer(r"\S+(?: \S+)*", text):
                colour = f' fill="{ink}"' if ink else ""
                weight = ' font-weight="bold"' if bold else ""
                body.append(f'<text x="{left + words.start() * CELL:.1f}" y="{top + 14}" textLength="{len(words[0]) * CELL:.1f}"'
                            f"{colour}{weight}>{html.escape(words[0])}</text>\n")
            start = end
    body.append("</g>\n")
    return svg(width, height, "".join(body), title)


def shot(out, columns, rows, seconds, *command):
    """Runs the command on a terminal of its own, takes the screen after `seconds`, and interrupts the command."""
    screen = Screen(int(columns), int(rows))
    child, master = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", screen.rows, screen.columns, 0, 0))
    end, pending = time.monotonic() + float(seconds), ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while (left := end - time.monotonic()) > 0:
        if not select.select([master], [], [], left)[0]:
            break
        try:
            pending += decoder.decode(os.read(master, 65536))
        except OSError:
            break
        # An escape that is cut waits for its rest.
        cut = re.search(r"(\x1b(\[[?>=]?[\d;:]*)?)?$", pending).start()
        screen.feed(pending[:cut])
        pending = pending[cut:]
    os.kill(child, signal.SIGINT)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                os.read(master, 65536)
            except OSError:
                break
        if os.waitpid(child, os.WNOHANG)[0]:
            break
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    pathlib.Path(out).write_text(terminal(screen, " ".join(["A terminal:", pathlib.Path(command[0]).name, *command[1:]])))


def text(out, columns, file):
    lines = pathlib.Path(file).read_text().splitlines()
    screen = Screen(int(columns), len(lines))
    for line in lines:
        screen.ink = TYPED if line.startswith("$ ") else None
        screen.feed(line[: screen.columns])
        screen.row, screen.column = screen.row + (line is not lines[-1]), 0
    pathlib.Path(out).write_text(terminal(screen, next((line[2:] for line in lines if line.startswith("$ ")), "A terminal")))


def frame(out, words):
    """Boxes of the outer frame, request above reply above heartbeat; the words are those of a language."""
    words = json.loads(pathlib.Path(words).read_text())
    width, left, box, gap = 1310, 150, 56, 34
    body, top = [f'<rect width="{width}" height="%d" fill="#ffffff"/>\n'], 20
    style = f'font-family="DejaVu Sans,Noto Sans CJK SC,Microsoft YaHei,PingFang SC,sans-serif"'
    body.append(f'<g {style} font-size="13" fill="#1d2733">\n')
    for row in words["rows"]:
        body.append(f'<text x="12" y="{top + 22}" font-weight="bold">{html.escape(row["name"])}</text>\n')
        body.append(f'<text x="12" y="{top + 40}" fill="#5b6775">{html.escape(row["note"])}</text>\n')
        at = left
        for offset, name, value, size, kind in row["fields"]:
            fill = {"edge": "#ffe3c2", "address": "#dcebfa", "head": "#eef1f4", "data": "#d9f0df", "check": "#f6d9e3"}[kind]
            body.append(f'<rect x="{at}" y="{top}" width="{size}" height="{box}" fill="{fill}" stroke="#5b6775"/>\n')
            middle = at + size / 2
            body.append(f'<text x="{middle}" y="{top + 22}" text-anchor="middle" font-size="12">{html.escape(name)}</text>\n')
            body.append(f'<text x="{middle}" y="{top + 42}" text-anchor="middle" font-size="12" '
                        f'font-family="{FONT}">{html.escape(value)}</text>\n')
            body.append(f'<text x="{at + 2}" y="{top + box + 13}" font-size="11" fill="#5b6775">{html.escape(offset)}</text>\n')
            at += size
        top += box + gap
    for start, end, label in words["spans"]:
        body.append(f'<path d="M{start} {top - 4} v8 H{end} v-8" fill="none" stroke="#5b6775"/>\n')
        body.append(f'<text x="{(start + end) / 2}" y="{top + 20}" text-anchor="middle" font-size="12">{html.escape(label)}</text>\n')
        top += 34
    body.append("</g>\n")
    height = top + 8
    pathlib.Path(out).write_text(svg(width, height, "".join(body).replace("%d", str(height), 1), words["title"]))


def page(out, size, seconds, url):
    """A page that goes on loading cannot be had with `chromium --screenshot`: chromedriver waits with it."""
    width, height = (int(part) for part in size.split("x"))
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = next(found[1] for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))

        def call(method, path, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/session{path}", data, method=method)
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["value"]

        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},{height}"]
        session = call("POST", "", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}})
        path = "/" + session["sessionId"]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        call("POST", path + "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
        call("POST", path + "/url", {"url": url})
        time.sleep(float(seconds))
        pathlib.Path(out).write_bytes(base64.b64decode(call("GET", path + "/screenshot")))
        call("DELETE", path)
    finally:
        driver.terminate()
        driver.wait()


def main():
    commands = {"shot": shot, "text": text, "frame": frame, "page": page}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
