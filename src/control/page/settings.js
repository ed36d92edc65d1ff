// Language and theme: what the browser prefers, unless the switch was used.

import { TEXTS } from './texts.js';

const LANGUAGES = ['en', 'zh'];
const THEMES = ['auto', 'light', 'dark'];

// Storage may be forbidden; then a choice lasts as long as the page.
function stored(key) {
  try { return localStorage.getItem(`fsu-mock.${key}`); } catch { return null; }
}

function store(key, value) {
  try { localStorage.setItem(`fsu-mock.${key}`, value); } catch { /* see above */ }
}

const preferred = (navigator.languages ?? [navigator.language]).find((l) => /^(en|zh)\b/i.test(l)) ?? 'en';
let language = LANGUAGES.includes(stored('language')) ? stored('language') : preferred.slice(0, 2).toLowerCase();
let theme = THEMES.includes(stored('theme')) ? stored('theme') : 'auto';
const listeners = new Set();

/// Runs it after each change of language or theme: its argument says which. The result ends that.
export function onSetting(run) {
  listeners.add(run);
  return () => listeners.delete(run);
}

/// The text of a key; `{name}` in it becomes that value. A key without a text is shown itself.
export function t(key, values = {}) {
  const text = TEXTS[key]?.[LANGUAGES.indexOf(language)] ?? key;
  return text.replaceAll(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/// The text of a word of a family (a state, a counter, a kind); the word itself if there is none.
export function word(family, of) {
  return TEXTS[`${family}.${of}`] ? t(`${family}.${of}`) : String(of);
}

export function languageNow() {
  return language;
}

export function themeNow() {
  return theme;
}

/// Dark is what is seen now.
export function isDark() {
  return theme === 'dark' || (theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
}

export function switchLanguage() {
  language = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  store('language', language);
  apply();
  [...listeners].forEach((run) => run('language'));
}

export function switchTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  store('theme', theme);
  apply();
  [...listeners].forEach((run) => run('theme'));
}

/// Puts language and theme into effect on what index.html has.
export function apply() {
  const root = document.documentElement;
  root.lang = language === 'zh' ? 'zh-CN' : 'en';
  root.dataset.theme = theme;
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t(node.dataset.tLabel));
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (theme === 'auto') [...listeners].forEach((run) => run('theme'));
});
