// What can be done to FSUs: forms for one, or for all that match a pattern.

import { part } from './api.js';
import { add, button, el, field, panel, select } from './dom.js';
import { faultsForm } from './faults.js';
import { form, outcomeOf, pairs } from './forms.js';
import { count } from './format.js';
import { t } from './settings.js';

const OFFLINE_S = 30;

/// Sends a message now. `messages` are those that the FSU has, each with the names of its arguments; null if that is not known.
function triggerForm(api, glob, messages, of, done) {
  const names = messages && Object.keys(messages);
  const which = names === null
    ? el('input', { required: true, id: 'message', class: 'code', spellcheck: 'false', list: 'messages-known', autofocus: true })
    : select(names.map((n) => [n, n]), names[0], { id: 'message' });
  const args = el('input', { id: 'args', class: 'code', spellcheck: 'false' });
  const hint = () => { args.placeholder = (messages?.[which.value] ?? ['name']).map((n) => `${n}=…`).join(' '); };
  which.addEventListener('input', hint);
  hint();
  const over = el('input', { id: 'over', type: 'number', min: '0', max: '3600000', step: '1', value: '0' });
  const known = el('datalist', { id: 'messages-known' });
  if (names === null) {
    // What the fleet has at all is only a help in writing.
    api.get('/v1/messages').then((got) => add(known, [...new Set(got.messages.map((m) => m.message))].map((value) => el('option', { value }))), () => {});
  }
  const parts = [field(t('trigger.message'), which), names === null && known, field(t('trigger.args'), args, { class: 'grow' }), of > 1 && field(t('trigger.over'), over, { class: 'short' }), el('button', { class: 'main', id: 'trigger' }, t('trigger'))];
  return form('trigger-form', parts, async () => {
    const got = await api.call('POST', `/v1/fsus/${part(glob)}/trigger`, { message: which.value, args: pairs(args.value), over_ms: Number(over.value) });
    return outcomeOf(got.triggered, got, t('trigger.done', { n: count(got.triggered), of: count(got.matched) }));
  }, done);
}

/// Takes FSUs off the net for a while.
function offlineForm(api, glob, done) {
  const seconds = el('input', { id: 'offline-s', type: 'number', min: '1', max: '86400', step: '1', value: OFFLINE_S, required: true });
  return form('offline-form', [field(t('offline.seconds'), seconds, { class: 'short' }), el('button', { class: 'main', id: 'offline' }, t('offline'))], async () => {
    const got = await api.call('PUT', `/v1/fsus/${part(glob)}/faults`, { offline: true, ttl_s: Number(seconds.value) });
    return outcomeOf(got.armed, got, t('offline.done', { n: count(got.armed), s: seconds.value }));
  }, done);
}

/// Takes back what was armed at run time.
function clearForm(api, glob, done) {
  return form('clear-form', [el('button', { id: 'clear' }, t('clear')), el('span', { class: 'soft' }, t('clear.hint'))], async () => {
    const { cleared } = await api.call('DELETE', `/v1/fsus/${part(glob)}/faults`);
    return t('clear.done', { n: count(cleared) });
  }, done);
}

/// All forms. `transport` narrows the faults to those that it can have; null is any.
export function actions(api, { glob, of, messages, transport }, done) {
  const node = el('div', { class: 'actions' });
  const group = (title, content) => node.append(el('fieldset', {}, el('legend', {}, title), content));
  if (messages === null || Object.keys(messages).length > 0) group(t('trigger.title'), triggerForm(api, glob, messages, of, done));
  group(t('offline.title'), offlineForm(api, glob, done));
  group(t('faults.title'), faultsForm(api, glob, transport, done));
  group(t('clear.title'), clearForm(api, glob, done));
  return node;
}

/// The forms for one FSU in a panel.
export function actionPanel(api, fsu, done) {
  const messages = Object.fromEntries((fsu.devices ?? []).flatMap((device) => device.messages ?? []).map((m) => [m.message, m.args ?? []]));
  const box = panel(t('actions'), { id: 'actions' });
  box.body.append(actions(api, { glob: fsu.name, of: 1, messages, transport: fsu.transport }, done));
  return box;
}

/// The forms for all that match, over the page. Escape closes them.
export function bulk(api, glob, matching, done) {
  const close = button(t('close'), () => dialog.close(), { class: 'quiet' });
  const dialog = el('dialog', { 'aria-label': t('bulk.title', { n: count(matching) }), id: 'bulk' },
    el('div', { class: 'head' }, el('h2', {}, t('bulk.title', { n: count(matching) })), close),
    el('p', { class: 'soft' }, t('bulk.which'), ' ', el('code', {}, el('bdi', {}, glob))),
    actions(api, { glob, of: matching, messages: null, transport: null }, done));
  const back = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    back?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
}
