// What is served, and the two calls that concern the whole run: reload, and the level of the system log.

import { reason } from './api.js';
import { el, button, fill, panel, select, say } from './dom.js';
import { count, span } from './format.js';
import { t } from './settings.js';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

function facts(run) {
  const yes = (is) => t(is ? 'yes' : 'no');
  // A load generator has none of these.
  const ofRun = (value) => (run.kind === 'flood' ? undefined : value);
  return [
    ['config', run.config ?? t('run.embedded')], ['seed', String(run.seed ?? '–')], ['started', run.started], ['driver', run.driver],
    ['executor', run.executor], ['performance', ofRun(yes(run.performance))],
    ['device_log', ofRun(yes(run.device_log))],
    ['reloads', ofRun(t('run.reloads_of', { n: count(run.reloads), failed: count(run.reloads_failed) }))],
  ].filter(([, value]) => value !== undefined && value !== null);
}

/// The panel; `update()` moves the time, `make()` builds it again after a reload.
export function runPanel(live, api) {
  const node = panel(t('run'), {});
  const uptime = el('dd');
  const result = el('p', { class: 'result', role: 'status' });
  const told = el('pre', { class: 'result', hidden: true });
  const attempt = async (work) => {
    told.hidden = true;
    result.className = 'result';
    say(result, t('working'));
    try {
      say(result, await work());
      result.classList.add('good');
    } catch (error) {
      say(result, reason(error));
      result.classList.add('bad');
      told.hidden = !error.diagnostics?.length;
      say(told, (error.diagnostics ?? []).join('\n'));
    }
  };
  const level = select([['', t('run.level_choose')], ...LEVELS.map((l) => [l, l])], '', { id: 'log-level' });
  level.addEventListener('change', () => level.value && attempt(async () => {
    const now = await api.call('POST', '/v1/log-level', { level: level.value });
    return t('run.level_is', { level: now.level });
  }));
  const reload = button(t('run.reload'), () => attempt(async () => {
    const { summary } = await api.call('POST', '/v1/reload', {});
    return t('run.reloaded', { summary });
  }), { id: 'reload' });
  const make = () => {
    const list = facts(live.run).map(([key, value]) => el('div', {}, el('dt', {}, t(`run.${key}`)), el('dd', {}, el('bdi', {}, value))));
    fill(node.body, el('dl', { class: 'pairs' }, list, el('div', {}, el('dt', {}, t('run.uptime')), uptime)));
    if (!live.run.read_only && live.run.kind !== 'flood') {
      node.body.append(el('div', { class: 'row' }, reload, el('label', { class: 'inline' }, t('run.level'), ' ', level)), result, told);
    }
  };
  make();
  const update = () => say(uptime, span((live.snapshot.t_ms ?? 0) / 1000));
  return { node, make, update };
}
