// The strip of figures at the top of the overview.

import { el, say } from './dom.js';
import { count, micros, percent, rate, short } from './format.js';
import { t, word } from './settings.js';

/// Rates and totals in the order in which they are shown; others follow by their own name.
const ORDER = ['sent', 'received', 'answered', 'dropped', 'lost', 'wrong', 'late', 'faults', 'heartbeats', 'messages', 'acknowledged'];
/// Those that are a reason to look when they are not 0.
const BAD = new Set(['lost', 'wrong', 'dropped']);

/// The keys of the rates that there are, in their order.
export function rateKeys(snapshot) {
  const keys = Object.keys(snapshot.rates ?? {});
  return [...ORDER.filter((key) => keys.includes(key)), ...keys.filter((key) => !ORDER.includes(key))];
}

/// The name of a rate; a load generator counts other things under the same key.
export function rateName(key, isFlood) {
  return isFlood && t(`flood.${key}`) !== `flood.${key}` ? t(`flood.${key}`) : word('rate', key);
}

/// The keys that are shown: those of a run all, those of a load generator only if they ever counted.
export function shownKeys(snapshot, isFlood) {
  return rateKeys(snapshot).filter((key) => !isFlood || ORDER.indexOf(key) < ORDER.indexOf('late') || snapshot.totals?.[key] > 0);
}

/// The times of the second chart: of a run lateness, of a load generator latency.
export function timesOf(snapshot, isFlood) {
  return (isFlood ? snapshot.latency_us ?? snapshot.reply_us : snapshot.late_us) ?? {};
}

/// The single figures: label, value, and what stands below it.
function singles(s, isFlood) {
  const out = [];
  const us = (key, times) => times && out.push([key, micros(times.p99), t('figure.p50', { p50: micros(times.p50) })]);
  us('latency', isFlood ? timesOf(s, true) : undefined);
  us(isFlood ? 'lag' : 'late', s.late_us);
  us('mock_late', s.mock_late_us);
  us('reply', isFlood ? undefined : s.reply_us);
  if (s.target_per_s !== undefined) out.push(['target', rate(s.target_per_s), t('figure.per_second')]);
  if (s.waiting !== undefined) out.push(['waiting', count(s.waiting), '']);
  if (s.pending !== undefined && isFlood) out.push(['waiting', count(s.pending), '']);
  else if (s.pending !== undefined) out.push(['pending', count(s.pending), t('figure.pending_sub')]);
  if (s.centres !== undefined) out.push(['centres', count(s.centres), t('figure.connections', { n: count(s.connections) })]);
  else if (s.connections !== undefined) out.push(['connections_only', count(s.connections), '']);
  if (s.log) out.push(['log', percent(s.log.queue_fill), t('figure.log_sub', { lost: count(s.log.lost) })]);
  return out;
}

/// The strip; `update(snapshot)` sets the numbers without building it again.
export function figures(isFlood) {
  const node = el('dl', { class: 'figures', id: 'figures', 'aria-label': t('figures') });
  const tiles = new Map();
  const tile = (key, label) => {
    if (!tiles.has(key)) {
      const [value, sub] = [el('dd', { class: 'value' }), el('dd', { class: 'sub' })];
      const box = el('div', { class: 'figure', data: { figure: key } }, el('dt', {}, label), value, sub);
      node.append(box);
      tiles.set(key, { box, value, sub });
    }
    return tiles.get(key);
  };
  const update = (s) => {
    for (const key of shownKeys(s, isFlood)) {
      const { box, value, sub } = tile(`rate.${key}`, rateName(key, isFlood));
      say(value, rate(s.rates[key]));
      say(sub, t('figure.total', { n: short(s.totals?.[key]) }));
      box.classList.toggle('bad', BAD.has(key) && s.rates[key] > 0);
    }
    for (const [key, now, below] of singles(s, isFlood)) {
      const { value, sub } = tile(key, t(`figure.${key}`));
      say(value, now);
      say(sub, below);
    }
  };
  return { node, update };
}
