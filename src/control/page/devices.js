// The devices of an FSU: registers and memory, which can be set, and what else they remember.

import { part } from './api.js';
import { add, button, el, field, fill, name, panel, table } from './dom.js';
import { count, dump } from './format.js';
import { form, outcomeOf } from './forms.js';
import { t } from './settings.js';

/// A register: its value, and a form in its place after Edit. Escape takes the form away.
function register(ctx, device, key, value) {
  const cell = el('span', { class: 'value' });
  const show = () => fill(cell, name(value, { class: 'code' }), ctx.canChange && button(t('edit'), edit, { class: 'quiet', 'aria-label': t('edit.of', { name: key }), data: { edit: key } }));
  const edit = () => {
    const input = el('input', { class: 'code', value, 'aria-label': key, spellcheck: 'false', data: { register: key } });
    const box = form(`set-${device}-${key}`, [input, el('button', { class: 'main' }, t('set')), button(t('cancel'), back)], async () => {
      const got = await ctx.api.call('PUT', `/v1/fsus/${part(ctx.fsu)}/registers/${part(key)}`, { value: input.value, device });
      const told = outcomeOf(got.set, got, t('set.done'));
      value = input.value;
      return told;
    }, () => {
      show();
      ctx.done();
    });
    box.addEventListener('keydown', (event) => event.key === 'Escape' && (event.stopPropagation(), back()));
    fill(cell, box);
    input.focus();
    input.select();
  };
  const back = () => {
    show();
    cell.querySelector('button')?.focus();
  };
  show();
  return [el('dt', {}, name(key)), el('dd', {}, cell)];
}

/// A memory area: its first bytes, and a form that writes some.
function memory(ctx, device, area, bytes) {
  const at = el('input', { type: 'number', min: '0', step: '1', value: '0', required: true });
  const digits = el('input', { class: 'code', required: true, pattern: '([0-9A-Fa-f]{2} ?)+', title: t('memory.pattern'), spellcheck: 'false', placeholder: '0102' });
  const write = form(`memory-${device}-${area}`, [field(t('memory.at'), at, { class: 'short' }), field(t('memory.hex'), digits, { class: 'grow' }), el('button', { class: 'main' }, t('set'))], async () => {
    const body = { at: Number(at.value), hex: digits.value.replaceAll(' ', ''), device };
    const got = await ctx.api.call('PUT', `/v1/fsus/${part(ctx.fsu)}/memory/${part(area)}`, body);
    return outcomeOf(got.set, got, t('set.done'));
  }, ctx.done);
  return el('details', { class: 'memory', data: { area } },
    el('summary', {}, name(area), ' ', el('span', { class: 'soft' }, t('bytes', { n: count(bytes.length / 2) }))), el('pre', { tabindex: '0' }, dump(bytes)), ctx.canChange && write);
}

const terms = (values, text = (v) => name(String(v))) => el('dl', { class: 'facts' }, Object.entries(values).map(([key, v]) => [el('dt', {}, name(key)), el('dd', {}, text(v))]));

/// What has become of the device's messages.
function sent(list) {
  const keys = ['message', 'sent', 'acknowledged', 'pending', 'retried', 'given_up'];
  const rows = table(keys.map((key, i) => ({ text: t(`message.${key}`), class: i === 0 ? '' : 'n' })));
  rows.rows(list.map((m) => [name(m.message), ...keys.slice(1).map((key) => count(m[key]))]));
  return rows;
}

const isEmpty = (value) => !value || Object.keys(value).length === 0;

/// One device as a panel.
function device(ctx, d) {
  const box = panel(t('device', { n: d.device }), { class: 'device', data: { device: d.device } });
  box.tools.append(el('span', { class: 'soft' }, name(d.vendor ?? ''), d.address ? ` · ${d.address}` : ''));
  const group = (title, content) => add(box.body, el('h3', {}, title), content);
  if (!isEmpty(d.states)) group(t('device.states'), el('p', {}, name(d.states.join(', '))));
  if (!isEmpty(d.registers)) group(t('device.registers'), el('dl', { class: 'facts registers' }, Object.entries(d.registers).map(([key, value]) => register(ctx, d.device, key, String(value)))));
  if (!isEmpty(d.keyed)) {
    for (const [key, entries] of Object.entries(d.keyed)) group(t('device.keyed', { name: key }), el('dl', { class: 'facts' }, entries.map((e) => [el('dt', {}, name(String(e.key))), el('dd', {}, name(String(e.value)))])));
  }
  if (!isEmpty(d.memory)) group(t('device.memory'), Object.entries(d.memory).map(([area, bytes]) => memory(ctx, d.device, area, bytes)));
  if (!isEmpty(d.messages)) group(t('device.messages'), sent(d.messages));
  if (!isEmpty(d.counters)) group(t('device.counters'), terms(d.counters));
  if (!isEmpty(d.cycles)) group(t('device.cycles'), el('dl', { class: 'facts' }, d.cycles.map((c) => [el('dt', {}, name(String(c.command))), el('dd', {}, t('device.place', { place: c.place, of: c.of }))])));
  if (!isEmpty(d.params)) group(t('device.params'), terms(d.params));
  if (box.body.childElementCount === 0) box.body.append(el('p', { class: 'empty' }, t('device.nothing')));
  return box;
}

/// Someone is at work in it: a form is open, or something in it has the focus.
function isBusy(box) {
  return box.contains(document.activeElement) || box.querySelector('dd form') !== null;
}

/// All devices; `update(list)` builds those again that changed and in which nobody is at work.
export function devicePanels(ctx) {
  const node = el('div', { class: 'devices' });
  const known = new Map();
  const update = (list) => {
    for (const d of list) {
      const text = JSON.stringify(d);
      const old = known.get(d.device);
      if (old?.text === text || (old && isBusy(old.box))) continue;
      const box = device(ctx, d);
      for (const open of old?.box.querySelectorAll('details[open]') ?? []) {
        const same = [...box.querySelectorAll('details')].find((one) => one.dataset.area === open.dataset.area);
        if (same) same.open = true;
      }
      if (old) old.box.replaceWith(box);
      else node.append(box);
      known.set(d.device, { text, box });
    }
  };
  return { node, update };
}
