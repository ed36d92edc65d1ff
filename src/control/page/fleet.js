// The table of FSUs: search, filters, order, pages; and what is done to all that the search finds.

import { get, query, repeat } from './api.js';
import { bulk } from './actions.js';
import { STATES } from './cells.js';
import { button, el, fill, linkTo, mark, name, say, select, table } from './dom.js';
import { count } from './format.js';
import { t, word } from './settings.js';

const EVERY_MS = 2000;
const SIZES = ['50', '100', '500'];
const TRANSPORTS = ['udp', 'tcp', 'datagram', 'broadcast'];
/// Columns: key, class, and whether the server sorts by it.
const COLUMNS = [
  ['state', '', false], ['name', 'name', true], ['transport', 'wide1', false], ['vendor', 'wide3', false], ['address', 'wide2', false], ['shard', 'n wide4', false],
  ['centres', 'n wide2', false], ['connections', 'n wide3', false], ['received', 'n', true], ['answered', 'n wide1', false], ['dropped', 'n', true], ['messages', 'n wide2', false], ['faults', 'n wide1', true],
];

/// What is searched for as a pattern of names: text without `*` or `?` may be anywhere in a name.
export function pattern(text) {
  const trimmed = text.trim();
  if (trimmed === '') return '*';
  return /[*?]/.test(trimmed) ? trimmed : `*${trimmed}*`;
}

/// A state as mark and word, and the devices' own states.
export function stateOf(fsu) {
  const own = (fsu.states ?? []).join(', ');
  return el('span', { class: 'state', title: own || null }, mark(fsu.state), el('span', { class: 'word' }, word('state', fsu.state)));
}

function cells(fsu) {
  return [
    stateOf(fsu), linkTo(fsu.name), fsu.transport, name((fsu.vendor ?? []).join(', ')), fsu.address ?? (fsu.connect ? `→ ${fsu.connect}` : '–'), count(fsu.shard), count(fsu.centres), count(fsu.connections),
    count(fsu.received), count(fsu.answered), count(fsu.dropped), fsu.messages_pending > 0 ? `${count(fsu.messages_sent)} (${count(fsu.messages_pending)})` : count(fsu.messages_sent), count(fsu.faults),
  ];
}

/// Head cells of columns that the server can sort by are buttons.
function sortable(rows, now, choose) {
  COLUMNS.forEach(([key, , can], i) => {
    const cell = rows.head.children[i];
    if (!can) return;
    const is = now.sort === key;
    const down = now.desc === '1';
    cell.setAttribute('aria-sort', is ? (down ? 'descending' : 'ascending') : 'none');
    fill(cell, button([t(`column.${key}`), el('span', { 'aria-hidden': 'true', class: 'arrow' }, is ? (down ? '▼' : '▲') : '')], () => choose(key), { class: 'sort', data: { sort: key } }));
  });
}

/// The line below the table: which page, and to the others.
function pager(go) {
  const [before, after] = [button('‹', () => go(-1), { 'aria-label': t('pager.before'), id: 'before' }), button('›', () => go(1), { 'aria-label': t('pager.after'), id: 'after' })];
  const where = el('span', { role: 'status', id: 'where' });
  const node = el('div', { class: 'row pager' }, before, where, after);
  const update = (got) => {
    const from = got.page * got.per_page;
    const to = Math.min(from + got.fsus.length, got.matching);
    say(where, got.matching === 0 ? t('pager.none', { total: count(got.total) }) : t('pager', { from: count(from + 1), to: count(to), matching: count(got.matching), total: count(got.total) }));
    before.disabled = got.page === 0;
    after.disabled = to >= got.matching;
  };
  return { node, update };
}

/// The view; what is looked for is in the page's address, so that going back finds it again.
export function fleet(root, { api, live, params, setParams }) {
  const now = { name: '', state: '', transport: '', sort: '', desc: '', page: '0', per_page: SIZES[1] };
  for (const [key, value] of params) if (key in now) now[key] = value;
  const search = el('input', { type: 'search', id: 'search', value: now.name, placeholder: t('fleet.search'), 'aria-label': t('fleet.search'), 'aria-keyshortcuts': '/', autocomplete: 'off', spellcheck: 'false' });
  const state = select([['', t('fleet.all_states')], ...STATES.map((s) => [s, word('state', s)])], now.state, { 'aria-label': t('column.state'), id: 'state' });
  const transport = select([['', t('fleet.all_transports')], ...TRANSPORTS.map((s) => [s, s])], now.transport, { 'aria-label': t('column.transport'), id: 'transport' });
  const size = select(SIZES.map((s) => [s, t('fleet.per_page', { n: s })]), now.per_page, { 'aria-label': t('fleet.page_size'), id: 'size' });
  const rows = table(COLUMNS.map(([key, cls]) => ({ text: t(`column.${key}`), class: cls })), { id: 'fleet' });
  const wrong = el('p', { class: 'result bad', role: 'status' });
  const acts = el('div', { class: 'row' });
  const pages = pager((step) => change({ page: String(Number(now.page) + step) }));
  root.append(el('h1', { class: 'unseen', tabindex: '-1' }, t('nav.fsus')), el('div', { class: 'row filters' }, search, state, transport, size, acts), wrong, rows, pages.node);

  const load = async (signal) => {
    const got = await get(`/v1/fsus${query({ ...now, name: now.name === '' ? '' : pattern(now.name) })}`, signal);
    pages.update(got);
    offer(got);
    show(got.fsus);
  };
  // A row that has the focus keeps it: the same names are only given new numbers.
  const show = (fsus) => {
    const focused = rows.body.contains(document.activeElement) ? document.activeElement.closest('tr')?.querySelector('.fsu')?.textContent : null;
    rows.rows(fsus.map(cells), t('fleet.none'));
    if (focused) [...rows.body.querySelectorAll('a.fsu')].find((a) => a.textContent === focused)?.focus({ preventScroll: true });
  };
  let offered = '';
  const offer = (got) => {
    const glob = pattern(now.name);
    const can = !live.run.read_only && got.matching > 0 && !now.state && !now.transport;
    const key = can ? `${glob} ${got.matching}` : '';
    if (key === offered) return;
    offered = key;
    fill(acts, can && button(t('fleet.act', { n: count(got.matching) }), () => bulk(api, glob, got.matching, () => turns.again()), { id: 'act' }));
  };
  const turns = repeat(EVERY_MS, load, (text) => say(wrong, text));
  const change = (values) => {
    Object.assign(now, { page: '0' }, values);
    setParams({ ...now, per_page: now.per_page === SIZES[1] ? '' : now.per_page, page: now.page === '0' ? '' : now.page });
    sortable(rows, now, choose);
    turns.again();
  };
  const choose = (key) => change(now.sort === key ? { desc: now.desc === '1' ? '' : '1' } : { sort: key, desc: key === 'name' ? '' : '1' });
  sortable(rows, now, choose);
  search.addEventListener('input', () => change({ name: search.value }));
  for (const [control, key] of [[state, 'state'], [transport, 'transport'], [size, 'per_page']]) control.addEventListener('change', () => change({ [key]: control.value }));
  return { leave: turns.stop, on: (what) => what === 'reload' && turns.again() };
}
