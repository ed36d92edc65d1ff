// Exchanges of an FSU, decoded: one line each, and on demand every field of the frame.

import { add, button, el, fill, name, panel, say } from './dom.js';
import { count, hex, moment } from './format.js';
import { t, word } from './settings.js';

/// A layer of a frame as a table: offset, bytes, field, value, and whether it is right.
function layer(of) {
  const rows = (of.fields ?? []).map((f) => el('tr', { class: f.ok === false ? 'bad' : null },
    el('td', { class: 'n' }, String(f.offset ?? '')), el('td', {}, el('code', { class: 'hex' }, hex(f.bytes))), el('td', {}, name(f.field ?? '')),
    el('td', {}, name(f.value ?? '')), el('td', {}, f.ok === undefined || f.ok === null ? '' : t(f.ok ? 'field.ok' : 'field.wrong'))));
  const notes = (of.notes ?? []).map((note) => el('p', { class: 'soft' }, name(note)));
  const head = el('tr', {}, ['offset', 'bytes', 'name', 'value', 'check'].map((key) => el('th', { scope: 'col', class: key === 'offset' ? 'n' : null }, t(`field.${key}`))));
  return [el('h4', {}, name(of.name ?? '')), notes, rows.length > 0 && el('div', { class: 'scroll' }, el('table', { class: 'fields' }, el('thead', {}, head), el('tbody', {}, rows)))];
}

/// Any JSON as nested terms; texts stay texts.
function tree(value, depth = 0) {
  if (value === null || typeof value !== 'object') return name(String(value));
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value);
  if (entries.length === 0) return '–';
  if (entries.every(([key, v]) => typeof key === 'number' && (v === null || typeof v !== 'object'))) return name(value.join(', '));
  const list = el('dl', { class: 'tree' }, entries.map(([key, v]) => [el('dt', {}, name(String(key))), el('dd', {}, tree(v, depth + 1))]));
  return depth === 0 ? list : el('details', {}, el('summary', {}, t('field.more', { n: count(entries.length) })), list);
}

/// What `explain --json` says: the layers of each frame, then the rest.
export function explained(json) {
  if (json === null || typeof json !== 'object') return json ? el('pre', {}, String(json)) : [];
  const frames = Array.isArray(json.items) ? json.items : (json.layers ? [json] : []);
  const shown = frames.map((item) => {
    const { layers = [], what, offset, hex: bytes, taken_for: taken, ...rest } = item;
    return [el('p', { class: 'soft' }, name([what, taken].filter(Boolean).join(': '))), layers.map(layer), Object.keys(rest).length > 0 && tree(rest)];
  });
  if (frames.length === 0) return tree(json);
  return shown;
}

function body(exchange) {
  return [el('code', { class: 'hex' }, hex(exchange.hex)), exchange.explain ? explained(exchange.explain) : el('p', { class: 'soft' }, name(exchange.text ?? ''))];
}

/// One exchange; its body is made when it is opened.
function item(exchange) {
  const inside = el('div', { class: 'inside' });
  const node = el('details', { class: 'item' },
    el('summary', {}, el('time', { datetime: exchange.time }, moment(exchange.time)), el('span', { class: `kind ${exchange.kind}` }, word('kind', exchange.kind)),
      el('span', { class: 'text cut' }, name(exchange.text ?? '')), el('span', { class: 'soft' }, `${exchange.peer ?? ''} · ${t('bytes', { n: count(exchange.bytes) })}`)), inside);
  node.addEventListener('toggle', () => node.open && inside.childElementCount === 0 && add(inside, body(exchange)));
  return node;
}

const keyOf = (e) => `${e.time} ${e.kind} ${e.peer} ${e.hex}`;

/// The panel. While an exchange is open the list is held; a button lets it go on.
export function exchangePanel() {
  const box = panel(t('exchanges'), { id: 'exchanges' });
  const list = el('div', { class: 'items' });
  const held = el('span', { class: 'soft', role: 'status' });
  const go = button(t('exchanges.go'), () => {
    for (const open of list.querySelectorAll('details.item[open]')) open.open = false;
    say(held, '');
    go.hidden = true;
  }, { hidden: true, class: 'quiet', id: 'go-on' });
  box.tools.append(held, go);
  box.body.append(list);
  let known = new Map();
  const update = (exchanges) => {
    const isHeld = list.querySelector('details.item[open]') !== null;
    say(held, isHeld ? t('exchanges.held') : '');
    go.hidden = !isHeld;
    if (isHeld) return;
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const next = new Map(exchanges.map((e) => [keyOf(e), known.get(keyOf(e)) ?? item(e)]));
    if (next.size === known.size && [...next.keys()].every((key) => known.has(key))) return;
    known = next;
    fill(list, known.size === 0 ? el('p', { class: 'empty' }, t('exchanges.none')) : [...known.values()]);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  };
  update([]);
  fill(list, el('p', { class: 'empty' }, t('exchanges.none')));
  return Object.assign(box, { update });
}
