// Forms: a call, and a line that says how it went.

import { reason } from './api.js';
import { el, say } from './dom.js';
import { count } from './format.js';
import { t } from './settings.js';

/// A call that was not made, or did nothing: its message says why.
export class Refused extends Error {}

/// What to say of a change: `text` if it was made at any FSU, with those that refused it; an error if at none.
export function outcomeOf(done, got, text) {
  const why = (got.refused ?? []).map((r) => (got.matched > 1 ? `${r.fsu}: ${r.why}` : r.why)).join('; ');
  if (done === 0 && why) throw new Refused(why);
  return why ? `${text} ${t('refused', { n: count(got.refused_total) })} ${why}` : text;
}

/// `name=value name2="two words"` as an object.
export function pairs(text) {
  const out = {};
  for (const word of text.match(/(?:[^\s"]+|"[^"]*")+/g) ?? []) {
    const at = word.indexOf('=');
    if (at < 1) throw new Refused(t('args.wrong', { word }));
    out[word.slice(0, at)] = word.slice(at + 1).replaceAll('"', '');
  }
  return out;
}

/// A line that says how a call went. `attempt(work)` runs it; `work` resolves to what to say.
export function outcome() {
  const node = el('p', { class: 'result', role: 'status' });
  const attempt = async (work) => {
    node.className = 'result';
    say(node, t('working'));
    try {
      say(node, await work());
      node.classList.add('good');
      return true;
    } catch (error) {
      say(node, error instanceof Refused ? error.message : reason(error));
      node.classList.add('bad');
      return false;
    }
  };
  return { node, attempt };
}

/// A form that calls `work` when it is sent, and says how that went; `done()` follows if it went well.
export function form(id, parts, work, done) {
  const { node: told, attempt } = outcome();
  const node = el('form', { class: 'form', id, autocomplete: 'off', on: {
    submit: async (event) => {
      event.preventDefault();
      if (await attempt(work)) done?.();
    },
  } }, el('div', { class: 'row' }, parts), told);
  return node;
}
