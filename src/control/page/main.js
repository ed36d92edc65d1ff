// The page: its first numbers, its address, its switches and keys.

import * as api from './api.js';
import { button, el, field, fill, name, say } from './dom.js';
import { fleet } from './fleet.js';
import { fsuView } from './fsu.js';
import { events, messages, unanswered } from './lists.js';
import { Live } from './live.js';
import { overview } from './overview.js';
import { apply, languageNow, onSetting, switchLanguage, switchTheme, t, themeNow } from './settings.js';

const VIEWS = { overview, fsus: fleet, fsu: fsuView, unanswered, messages, events };
const AGAIN_MS = 1000;

const at = (id) => document.getElementById(id);
const live = new Live();
const main = at('main');
let view = null;

/// The address after `#`: `#/fsus?state=offline` is the view fsus with these parameters, `#/fsu/NAME` the page of one.
function route() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [first, ...rest] = path.split('/');
  const params = new URLSearchParams(query);
  let fsu = rest.join('/');
  try { fsu = decodeURIComponent(fsu); } catch { /* no address that this page made: as it is written */ }
  if (first === 'fsu' && fsu !== '') return { id: 'fsu', fsu, params };
  return { id: first in VIEWS && first !== 'fsu' ? first : 'overview', params };
}

/// Keeps what a view is set to in the address, without a step in the history for each letter.
function setParams(values) {
  history.replaceState(null, '', location.hash.split('?')[0] + api.query(values));
}

/// Shows what the address says. `moved`: someone went there, so the focus goes along.
function show(moved) {
  const { id, fsu, params } = route();
  view?.leave?.();
  main.replaceChildren();
  for (const link of document.querySelectorAll('#nav a')) {
    const is = link.dataset.route === id || (id === 'fsu' && link.dataset.route === 'fsus');
    if (is) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${fsu ?? t(`nav.${id}`)} · fsu-mock`;
  view = VIEWS[id](main, { live, api, params, setParams, fsu }) ?? {};
  if (moved) {
    main.querySelector('h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/// What stands at the top: program, verdict, connection, switches.
function top() {
  const { run, snapshot, status } = live;
  at('language').textContent = languageNow() === 'zh' ? 'English' : '中文';
  at('language').setAttribute('aria-label', languageNow() === 'zh' ? 'Switch to English' : '切换为中文');
  at('theme').textContent = t(`theme.${themeNow()}`);
  at('theme').setAttribute('aria-label', t('theme.label', { now: t(`theme.${themeNow()}`) }));
  at('status').className = `chip ${status}`;
  say(at('status'), t(`status.${status}`));
  at('lost').hidden = status !== 'lost';
  say(at('lost'), status === 'lost' ? t('lost') : '');
  if (!run) return;
  say(at('version'), run.version ?? '');
  say(at('config'), run.kind === 'flood' ? 'flood' : run.config ?? t('run.embedded'));
  at('config').title = run.config ?? '';
  at('readonly').hidden = !run.read_only;
  for (const link of document.querySelectorAll('#nav a[data-kind]')) link.hidden = run.kind === 'flood';
  const isKnown = typeof snapshot?.is_valid === 'boolean';
  at('verdict').hidden = !isKnown;
  if (!isKnown) return;
  at('verdict').className = `chip ${snapshot.is_valid ? 'good' : 'bad'}`;
  say(at('verdict'), t(snapshot.is_valid ? 'valid' : 'not_valid'));
  at('verdict').title = snapshot.verdict ?? '';
}

/// Asks for the token of `--control-token`; null if it is not given.
function askToken(wasWrong) {
  return new Promise((done) => {
    const input = el('input', { type: 'password', required: true, autocomplete: 'current-password', id: 'token' });
    const dialog = el('dialog', { 'aria-label': t('token.title') }, el('form', { method: 'dialog', class: 'form' }, el('h2', {}, t('token.title')),
      el('p', { class: wasWrong ? 'bad' : 'soft' }, t(wasWrong ? 'token.wrong' : 'token.why')),
      el('div', { class: 'row' }, field(t('token'), input, { class: 'grow' }), el('button', { class: 'main' }, t('token.send')), button(t('cancel'), () => dialog.close('')))));
    dialog.addEventListener('close', () => {
      const given = input.value;
      dialog.remove();
      done(given === '' ? null : given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/// `/` searches, Escape goes up or empties the search.
function onKey(event) {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || document.querySelector('dialog[open]')) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === '/' && !isTyping && live.run?.kind !== 'flood') {
    event.preventDefault();
    if (!at('search')) location.hash = '#/fsus';
    // The view is there after the change of the address.
    setTimeout(() => at('search')?.select());
  }
  if (event.key !== 'Escape') return;
  if (isTyping) {
    if (event.target.id === 'search' && event.target.value !== '') {
      event.target.value = '';
      event.target.dispatchEvent(new Event('input'));
    } else event.target.blur();
  } else if (view?.up) location.hash = view.up;
}

async function start() {
  for (;;) {
    try {
      await live.start();
      break;
    } catch (error) {
      live.become('lost');
      fill(main, el('p', { class: 'empty' }, t('starting'), ' ', name(api.reason(error))));
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
  top();
  show(false);
  performance.mark('first-numbers');
  live.on((what) => {
    if (what !== 'event') top();
    if (what === 'run') show(false);
    else view?.on?.(what);
  });
  live.become('live');
  live.follow();
}

api.onUnauthorized(askToken);
apply();
top();
onSetting((what) => {
  top();
  if (what === 'language' && live.run) show(false);
});
at('language').addEventListener('click', switchLanguage);
at('theme').addEventListener('click', switchTheme);
at('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => live.run && show(true));
addEventListener('keydown', onKey);
start();
