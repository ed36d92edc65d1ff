// The form of faults: every kind with its probability, and what else it takes.

import { part } from './api.js';
import { el } from './dom.js';
import { Refused, form, outcomeOf } from './forms.js';
import { count } from './format.js';
import { t, word } from './settings.js';

const TTL_S = 60;

/// Kinds as in docs/use/faults.md: transports that can have them (null: all), and further numbers as
/// `[key, what it begins with, least, most]`.
export const KINDS = {
  drop: [null, []],
  duplicate: [null, []],
  corrupt: [null, []],
  truncate: [null, []],
  bad_checksum: [null, []],
  bad_verify: ['udp', []],
  wrong_type: [null, []],
  garbage: [null, []],
  extra_delay_ms: [null, [['ms', 500, 1, 3_600_000]]],
  reorder_ms: [null, [['ms', 200, 1, 3_600_000]]],
  split: ['tcp', [['pieces', 2, 2, 64], ['gap_ms', 20, 1, 60_000]]],
  reset: ['tcp', []],
  stall: ['tcp', []],
  half_close: ['tcp', []],
};

/// One kind: its probability and its further numbers. `value()` is what goes into the call, null if the kind is left out.
function kindRow(kind, more) {
  const number = (key, value, least, most, step) => el('input', { type: 'number', value, min: String(least), max: String(most), step, 'aria-label': `${word('fault', kind)}: ${t(`fault.${key}`)}`, data: { fault: kind, part: key } });
  const p = number('p', '', 0, 1, 'any');
  p.placeholder = '0–1';
  const others = more.map(([key, value, least, most]) => [key, number(key, value, least, most, '1')]);
  const node = el('div', { class: more.length > 0 ? 'fault more' : 'fault' }, el('span', { class: 'kind' }, word('fault', kind), ' ', el('code', {}, kind)), el('span', { class: 'numbers' }, p, others.map(([key, input]) => el('label', {}, input, ' ', t(`fault.${key}`)))));
  const value = () => {
    if (p.value === '') return null;
    if (others.length === 0) return Number(p.value);
    return { p: Number(p.value), ...Object.fromEntries(others.map(([key, input]) => [key, Number(input.value)])) };
  };
  return { kind, node, value };
}

/// The form. `transport` narrows the kinds to those that it can have.
export function faultsForm(api, glob, transport, done) {
  const rows = Object.entries(KINDS).filter(([, [of]]) => of === null || transport === null || of === transport).map(([kind, [, more]]) => kindRow(kind, more));
  const ttl = el('input', { type: 'number', id: 'ttl', min: '1', max: '86400', step: '1', value: TTL_S, placeholder: '∞' });
  const parts = [
    el('div', { class: 'faults' }, rows.map((row) => row.node)),
    el('label', { class: 'field short' }, el('span', {}, t('faults.ttl')), ttl),
    el('button', { class: 'main', id: 'arm' }, t('faults.arm')),
  ];
  return form('faults-form', parts, async () => {
    const set = Object.fromEntries(rows.map((row) => [row.kind, row.value()]).filter(([, value]) => value !== null));
    if (Object.keys(set).length === 0) throw new Refused(t('faults.choose'));
    const body = ttl.value === '' ? set : { ...set, ttl_s: Number(ttl.value) };
    const got = await api.call('PUT', `/v1/fsus/${part(glob)}/faults`, body);
    return outcomeOf(got.armed, got, t(ttl.value === '' ? 'faults.done_ever' : 'faults.done', { n: count(got.armed), s: ttl.value }));
  }, done);
}
