// The page of one FSU.

import { actionPanel } from './actions.js';
import { call, get, part, repeat } from './api.js';
import { devicePanels } from './devices.js';
import { el, fill, name, panel, say, table } from './dom.js';
import { exchangePanel } from './exchanges.js';
import { stateOf } from './fleet.js';
import { count } from './format.js';
import { t } from './settings.js';

const EVERY_MS = 1500;

/// The armed faults in words.
function armedText(armed) {
  if (!armed || Object.keys(armed).length === 0) return t('fsu.none');
  return Object.entries(armed).map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ');
}

function facts(fsu) {
  return [
    ['id', fsu.id], ['transport', fsu.transport], ['address', fsu.address ?? '–'], ...(fsu.connect ? [['connect', fsu.connect]] : []), ['vendor', (fsu.vendor ?? []).join(', ')],
    ['shard', count(fsu.shard)], ['number', count(fsu.number)], ['centres', count(fsu.centres)], ['connections', count(fsu.connections)], ['states', (fsu.states ?? []).join(', ') || '–'], ['armed', armedText(fsu.armed)],
  ];
}

/// Counters that are not 0, those by word below their sum.
function counters(box) {
  return (all) => {
    const rows = [];
    for (const [key, value] of Object.entries(all ?? {})) {
      if (typeof value === 'number' && value > 0) rows.push([key, value, '']);
      else if (value && typeof value === 'object') rows.push(...Object.entries(value).filter(([, n]) => n > 0).map(([of, n]) => [of, n, 'below']));
    }
    fill(box.body, rows.length === 0 ? el('p', { class: 'empty' }, t('fsu.no_counts'))
      : el('dl', { class: 'facts counts' }, rows.map(([key, n, cls]) => [el('dt', { class: cls }, name(key)), el('dd', { class: 'n' }, count(n))])));
  };
}

function commandTable(box) {
  const keys = ['command', 'name', 'received', 'answered', 'dropped'];
  const rows = table(keys.map((key, i) => ({ text: t(`command.${key}`), class: i < 2 ? '' : 'n' })));
  box.body.append(rows);
  return (list) => rows.rows((list ?? []).map((c) => [el('code', {}, name(String(c.command))), name(c.name ?? ''), count(c.received), count(c.answered), count(c.dropped)]), t('fsu.no_counts'));
}

/// The figures beside the name.
function strip() {
  const node = el('dl', { class: 'figures small' });
  const values = {};
  for (const key of ['received', 'answered', 'dropped', 'faults', 'messages_sent', 'messages_pending']) {
    values[key] = el('dd', { class: 'value', data: { value: key } });
    node.append(el('div', { class: 'figure' }, el('dt', {}, t(`fsu.${key}`)), values[key]));
  }
  return { node, update: (fsu) => Object.entries(values).forEach(([key, value]) => say(value, count(fsu[key]))) };
}

/// The view.
export function fsuView(root, { live, fsu }) {
  const wrong = el('p', { class: 'result bad', role: 'status' });
  const state = el('span', { id: 'fsu-state' });
  const figures = strip();
  const about = panel(t('fsu.about'), {});
  const [commands, counts] = [panel(t('fsu.commands'), {}), panel(t('fsu.counters'), {})];
  const [showCommands, showCounters] = [commandTable(commands), counters(counts)];
  const exchanges = exchangePanel();
  const ctx = { api: { call }, fsu, canChange: !live.run.read_only, done: () => turns.again() };
  const devices = devicePanels(ctx);
  const left = el('div', { class: 'column' }, about);
  const right = el('div', { class: 'column' }, exchanges, commands, counts);
  root.append(el('p', { class: 'crumb' }, el('a', { href: '#/fsus', id: 'back' }, t('nav.fsus')), ' › '), el('h1', { tabindex: '-1', class: 'of' }, name(fsu), ' ', state), wrong, figures.node, el('div', { class: 'two' }, left, right));

  let isFirst = true;
  const load = async (signal) => {
    const got = await get(`/v1/fsus/${part(fsu)}`, signal);
    if (isFirst) {
      isFirst = false;
      if (ctx.canChange) left.append(actionPanel(ctx.api, got, ctx.done));
      left.append(devices.node);
    }
    fill(state, stateOf(got));
    figures.update(got);
    fill(about.body, el('dl', { class: 'facts' }, facts(got).map(([key, value]) => [el('dt', {}, t(`fsu.${key}`)), el('dd', {}, name(value))])));
    devices.update(got.devices ?? []);
    exchanges.update(got.exchanges ?? []);
    showCommands(got.commands);
    showCounters(got.counters);
  };
  const turns = repeat(EVERY_MS, load, (text) => say(wrong, text));
  return { leave: turns.stop, on: (what) => what === 'reload' && turns.again(), up: '#/fsus' };
}
