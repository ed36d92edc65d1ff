// The map: a cell for each FSU, drawn pixel by pixel into one canvas. Only what changed is drawn again.

import { get } from './api.js';
import { colour } from './charts.js';
import { LETTERS, STATES, changed, layout, packed, put, sprite } from './cells.js';
import { el, fill, mark, name, pageOf, say } from './dom.js';
import { count } from './format.js';
import { t, word } from './settings.js';

/// Names are read this many at a time.
const PAGE = 100;
const HEIGHT = 260;

/// Names of FSUs by number, read when they are asked for and kept until a reload.
class Names {
  constructor() {
    this.known = new Map();
    this.asked = new Map();
  }

  async of(number) {
    if (!this.known.has(number)) {
      const page = Math.floor(number / PAGE);
      if (!this.asked.has(page)) this.asked.set(page, this.read(page).finally(() => this.asked.delete(page)));
      await this.asked.get(page).catch(() => {});
    }
    return this.known.get(number);
  }

  async read(page) {
    const { fsus } = await get(`/v1/fsus?page=${page}&per_page=${PAGE}`);
    fsus.forEach((fsu, i) => this.known.set(page * PAGE + i, fsu.name));
  }
}

class FleetMap {
  constructor(canvas, told, legend) {
    Object.assign(this, { canvas, told, legend, names: new Names(), text: '', at: -1, asked: 0, place: null, cells: {} });
    this.context = canvas.getContext('2d');
    this.legendCounts = {};
    this.size = new ResizeObserver(() => this.redraw());
    this.size.observe(canvas.parentElement);
    canvas.addEventListener('pointermove', (event) => this.go(this.under(event), false));
    canvas.addEventListener('pointerleave', () => this.go(-1, false));
    canvas.addEventListener('click', (event) => this.open(this.under(event)));
    canvas.addEventListener('keydown', (event) => this.key(event));
    canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && this.go(Math.max(0, this.at), true));
    canvas.addEventListener('blur', () => this.go(-1, false));
  }

  /// Draws what differs from what is seen.
  update(text, states) {
    for (const state of STATES) if (this.legendCounts[state]) say(this.legendCounts[state], count(states?.[state] ?? 0));
    const cells = changed(this.text, text);
    const isOther = text.length !== this.text.length;
    this.text = text;
    if (isOther) this.redraw();
    else this.draw(cells);
    if (this.at >= 0 && cells.includes(this.at)) this.tell();
  }

  /// Lays out and draws everything: another fleet, size or theme.
  redraw() {
    const width = Math.floor(this.canvas.parentElement.clientWidth);
    if (width === 0 || this.text.length === 0) return;
    const scale = globalThis.devicePixelRatio || 1;
    const place = layout(this.text.length, width, HEIGHT);
    this.unit = Math.max(2, Math.round(place.size * scale));
    this.place = { ...place, size: this.unit / scale };
    this.canvas.width = place.columns * this.unit;
    this.canvas.height = place.rows * this.unit;
    this.canvas.style.width = `${this.canvas.width / scale}px`;
    this.canvas.style.height = `${this.canvas.height / scale}px`;
    [this.ink, this.paper] = [colour('--ink'), colour('--card')];
    const ground = packed(colour('--card'));
    const paper = packed(colour('--cell'));
    const gap = Math.max(1, Math.round(scale));
    for (const state of STATES) this.cells[state] = sprite(state, this.unit, gap, [packed(colour(`--state-${state}`)), paper, ground]);
    this.picture = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.picture.data.buffer).fill(ground);
    for (let i = 0; i < this.text.length; i += 1) this.put(i);
    this.context.putImageData(this.picture, 0, 0);
    this.ring();
  }

  put(i) {
    const { columns } = this.place;
    const cell = this.cells[LETTERS[this.text[i]] ?? 'idle'];
    put(this.pixels, this.canvas.width, cell, this.unit, (i % columns) * this.unit, Math.floor(i / columns) * this.unit);
  }

  /// Draws these cells, row by row of the map.
  draw(cells) {
    if (!this.place || cells.length === 0) return;
    const rows = new Set();
    for (const i of cells) {
      this.put(i);
      rows.add(Math.floor(i / this.place.columns));
    }
    this.show(rows);
    this.ring();
  }

  show(rows) {
    for (const row of rows) this.context.putImageData(this.picture, 0, 0, 0, row * this.unit, this.canvas.width, this.unit);
  }

  /// The frame around the cell that is pointed at.
  ring() {
    if (this.at < 0 || !this.place) return;
    const { columns } = this.place;
    const [x, y] = [(this.at % columns) * this.unit, Math.floor(this.at / columns) * this.unit];
    // Two frames, dark and light: one of them differs from whatever is below. They stay within the rows beside.
    for (const [colour, out] of [[this.ink, 3], [this.paper, 1]]) {
      const [left, top] = [Math.max(1, x - out), Math.max(1, y - out)];
      const right = Math.min(this.canvas.width - 1, x + this.unit - 1 + out);
      this.context.strokeStyle = colour;
      this.context.lineWidth = 2;
      this.context.strokeRect(left, top, right - left, Math.min(this.canvas.height - 1, y + this.unit - 1 + out) - top);
    }
  }

  under(event) {
    if (!this.place) return -1;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((n) => Math.floor(n / this.place.size));
    const i = y * this.place.columns + x;
    return x >= 0 && x < this.place.columns && y >= 0 && i < this.text.length ? i : -1;
  }

  /// Points at a cell; by the keyboard it is scrolled into view.
  go(i, isKey) {
    if (i === this.at) return;
    const row = Math.floor(this.at / (this.place?.columns ?? 1));
    const before = this.at;
    this.at = i;
    if (this.place && before >= 0) this.show([row - 1, row, row + 1].filter((r) => r >= 0 && r < this.place.rows));
    this.ring();
    if (isKey && this.place) {
      const box = this.canvas.parentElement;
      const y = Math.floor(i / this.place.columns) * this.place.size;
      if (y < box.scrollTop) box.scrollTop = y;
      else if (y + this.place.size > box.scrollTop + box.clientHeight) box.scrollTop = y + this.place.size - box.clientHeight;
    }
    this.tell();
  }

  /// Says which FSU it is, as soon as its name is known.
  async tell() {
    const at = this.at;
    if (at < 0) return fill(this.told, t('map.hint'));
    const state = LETTERS[this.text[at]] ?? 'idle';
    const of = this.names.known.get(at) ?? await this.names.of(at);
    if (at !== this.at) return undefined;
    return fill(this.told, mark(state), ' ', name(of ?? `#${at}`, { class: 'cut' }), ' ', el('span', { class: 'soft' }, `${word('state', state)} · #${at}`));
  }

  async open(i) {
    if (i < 0) return;
    const of = await this.names.of(i);
    if (of !== undefined) location.hash = pageOf(of);
  }

  key(event) {
    if (!this.place || event.altKey || event.ctrlKey || event.metaKey) return;
    const { columns, rows } = this.place;
    const page = columns * Math.max(1, Math.floor(rows / 8));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page };
    const last = this.text.length - 1;
    let to = null;
    if (event.key in steps) to = Math.max(0, this.at) + steps[event.key];
    else if (event.key === 'Home') to = 0;
    else if (event.key === 'End') to = last;
    else if (event.key === 'Enter' || event.key === ' ') this.open(this.at);
    else return;
    event.preventDefault();
    if (to !== null && to >= 0 && to <= last) this.go(to, true);
  }

  end() {
    this.size.disconnect();
  }
}

/// The map with its legend and the line that tells what is pointed at.
export function fleetMap() {
  const told = el('p', { class: 'told', id: 'map-told', role: 'status', 'aria-live': 'polite' }, t('map.hint'));
  const canvas = el('canvas', { tabindex: '0', role: 'application', 'aria-label': t('map.label'), 'aria-describedby': 'map-told', width: 1, height: 1 });
  const legend = el('ul', { class: 'legend' });
  const node = el('div', { class: 'map' }, legend, el('div', { class: 'cells' }, canvas), told);
  const map = new FleetMap(canvas, told, legend);
  for (const state of STATES) {
    map.legendCounts[state] = el('b', {}, '0');
    legend.append(el('li', {}, el('a', { href: `#/fsus?state=${state}`, data: { state } }, mark(state), ' ', word('state', state), ' ', map.legendCounts[state])));
  }
  return { node, map };
}
