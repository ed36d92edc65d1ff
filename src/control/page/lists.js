// Views that are lists: unanswered requests, messages, events.

import { get, query, repeat } from './api.js';
import { el, fill, linkTo, name, panel, say, table } from './dom.js';
import { clock, count, hex, micros, moment } from './format.js';
import { t, word } from './settings.js';

const EVERY_MS = 2000;
const UNANSWERED = 100;

function heading(text) {
  return el('h1', { tabindex: '-1' }, text);
}

/// A line under the heading that says what went wrong; empty if nothing did.
function trouble() {
  return el('p', { class: 'result bad', role: 'status' });
}

/// The last requests without a reply, and why. An open one stays as it is, and so does the list meanwhile.
export function unanswered(root, { params, setParams }) {
  const filter = el('input', { type: 'search', id: 'search', value: params.get('fsu') ?? '', placeholder: t('unanswered.filter'), 'aria-label': t('unanswered.filter') });
  const list = el('div', { class: 'items', id: 'unanswered' });
  const [held, wrong] = [el('span', { class: 'soft' }), trouble()];
  root.append(heading(t('nav.unanswered')), el('div', { class: 'row' }, filter, held), wrong, list);
  const load = async (signal) => {
    if (list.querySelector('details[open]')) return;
    const text = filter.value.trim();
    const fsu = text && !/[*?]/.test(text) ? `*${text}*` : text;
    const got = await get(`/v1/unanswered${query({ fsu, n: UNANSWERED })}`, signal);
    say(held, t('unanswered.held', { n: count(got.unanswered.length), total: count(got.total) }));
    if (list.querySelector('details[open]') || list.contains(document.activeElement)) return;
    fill(list, got.unanswered.length === 0 ? el('p', { class: 'empty' }, t('unanswered.none')) : got.unanswered.map(oneUnanswered));
  };
  const turns = repeat(EVERY_MS, load, (text) => say(wrong, text));
  filter.addEventListener('input', () => {
    setParams({ fsu: filter.value });
    turns.again();
  });
  return { leave: turns.stop };
}

function oneUnanswered(item) {
  return el('details', { class: 'item' },
    el('summary', {}, el('time', { datetime: item.time }, moment(item.time)), el('span', { class: 'of cut' }, item.fsu ? linkTo(item.fsu) : t('unanswered.no_fsu')), el('code', { class: 'reason' }, item.reason),
      el('span', { class: 'soft' }, item.peer ? t('from_peer', { peer: item.peer }) : ''), el('span', { class: 'soft' }, t('bytes', { n: count(item.bytes) }))),
    el('code', { class: 'hex' }, hex(item.hex)), el('pre', {}, item.explain ?? ''));
}

/// What has become of messages, by template and name.
export function messages(root) {
  const wrong = trouble();
  const keys = ['vendor', 'message', 'sent', 'acknowledged', 'pending', 'retried', 'refused', 'given_up', 'ack_p50', 'ack_p99', 'late_p99'];
  const rows = table(keys.map((key, i) => ({ text: t(`message.${key}`), class: i < 2 ? '' : 'n' })), { id: 'messages' });
  const box = panel(t('nav.messages'), { class: 'bare' });
  box.body.append(rows);
  root.append(heading(t('nav.messages')), el('p', { class: 'soft' }, t('messages.intro')), wrong, box);
  const load = async (signal) => {
    const got = await get('/v1/messages', signal);
    rows.rows(got.messages.map((m) => [
      name(m.vendor), name(m.message), count(m.sent), m.is_acknowledged === false ? t('message.none') : count(m.acknowledged), count(m.pending), count(m.retried),
      el('span', { class: m.refused > 0 ? 'bad' : null }, count(m.refused)), el('span', { class: m.given_up > 0 ? 'bad' : null }, count(m.given_up)),
      micros(m.acknowledged_us?.p50), micros(m.acknowledged_us?.p99), micros(m.late_us?.p99),
    ]), t('messages.none'));
  };
  return { leave: repeat(EVERY_MS, load, (text) => say(wrong, text)).stop };
}

/// What an event says, as nodes.
function sentence({ event, told }) {
  if (told.more !== undefined) return [t('event.more', { n: count(told.more) })];
  switch (event) {
    case 'centre':
      return [linkTo(told.fsu), ' ', t(told.came ? 'event.came' : 'event.went', { peer: told.peer })];
    case 'outage':
      return [t(told.begun ? 'event.outage' : 'event.outage_end', { n: count(told.fsus) }), ' ', (told.names ?? []).flatMap((fsu, i) => [i > 0 && ', ', linkTo(fsu)]),
        told.fsus > (told.names ?? []).length && ' …'];
    case 'reload':
      return [t(told.done ? 'event.reload' : 'event.reload_failed'), ' ', name(told.summary ?? '')];
    case 'change':
      return [t('event.change', { by: word('by', told.by), n: count(told.matched) }), ' ', el('code', {}, name(told.call ?? ''))];
    default:
      return [el('code', {}, JSON.stringify(told))];
  }
}

/// A line of the list of events.
export function eventRow(happened) {
  return el('li', {}, el('time', {}, clock(happened.at)), el('span', { class: `kind ${happened.event}` }, word('event.kind', happened.event)), el('span', { class: 'text' }, sentence(happened)));
}

/// All events since the page was opened.
export function events(root, { live }) {
  const list = el('ul', { class: 'log', id: 'events' });
  const box = panel(t('nav.events'), { class: 'bare' });
  box.body.append(list);
  root.append(heading(t('nav.events')), el('p', { class: 'soft' }, t('events.intro')), box);
  const show = () => fill(list, live.events.length === 0 ? el('li', { class: 'empty' }, t('events.none')) : live.events.map(eventRow));
  show();
  return { on: (what) => what === 'event' && show() };
}
