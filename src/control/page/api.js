// Calls of the control API.

import { t } from './settings.js';

const TOKEN = 'fsu-mock.token';

/// An answer that is an error: its status, code and message, and the diagnostics of a refused reload.
export class ApiError extends Error {
  constructor(status, code, message, diagnostics = []) {
    super(message);
    Object.assign(this, { status, code, diagnostics });
  }
}

let token = null;
try { token = sessionStorage.getItem(TOKEN) || null; } catch { /* storage may be forbidden */ }
let askToken = async () => null;
let asking = null;

/// Who asks for the token when an answer is 401.
export function onUnauthorized(ask) {
  askToken = ask;
}

/// A name or a pattern of names as a part of a path. The configuration allows no name with `/ * ?` or a leading dot.
export const part = encodeURIComponent;

/// Asks once, however many calls wait for it.
function ask() {
  asking ??= askToken(token !== null).then((given) => {
    token = given;
    try { sessionStorage.setItem(TOKEN, token ?? ''); } catch { /* see above */ }
  }).finally(() => { asking = null; });
  return asking;
}

/// The answer, whatever its status but 401, after which the token is asked for once.
export async function raw(method, path, { body, signal, accept } = {}) {
  for (;;) {
    const sent = token;
    const headers = { Accept: accept ?? 'application/json' };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const answer = await fetch(path, { method, headers, signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body) });
    if (answer.status !== 401) return answer;
    if (sent === token) await ask();
    if (token === null) throw await errorOf(answer);
  }
}

async function errorOf(answer) {
  let told = {};
  try { told = await answer.json(); } catch { /* no JSON: the status says enough */ }
  const { code = 'internal', message = `${answer.status} ${answer.statusText}` } = told.error ?? {};
  return new ApiError(answer.status, code, message, told.diagnostics ?? told.error?.diagnostics ?? []);
}

/// The JSON of an answer; throws an `ApiError`, or the browser's error if the server cannot be reached.
export async function call(method, path, body, signal = AbortSignal.timeout(12_000)) {
  const answer = await raw(method, path, { body, signal });
  if (!answer.ok) throw await errorOf(answer);
  return answer.json();
}

export const get = (path, signal) => call('GET', path, undefined, signal);

/// `?a=1&b=2` of those that have a value.
export function query(values) {
  const some = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined && value !== false);
  return some.length === 0 ? '' : `?${new URLSearchParams(some.map(([key, value]) => [key, value === true ? '1' : String(value)]))}`;
}

/// What to tell of an error.
export function reason(error) {
  if (error instanceof ApiError) return error.message;
  return t(error.name === 'TimeoutError' ? 'error.timeout' : 'error.unreachable');
}

/// Runs `load(signal)` now and that number of milliseconds after it ended, while the page is seen. An error that it throws goes to
/// `failed(text)`; an empty text means that all is well. `stop()` ends it. `again()` asks at once: an answer under way is
/// to an older question, and is not waited for.
export function repeat(ms, load, failed) {
  let [timer, isRunning, isDue, isStopped] = [0, false, false, false];
  let abort = new AbortController();
  const once = async () => {
    isDue = false;
    abort = new AbortController();
    try {
      await load(AbortSignal.any([abort.signal, AbortSignal.timeout(12_000)]));
      failed('');
    } catch (error) {
      if (error.name !== 'AbortError') failed(reason(error));
    }
  };
  const turn = async () => {
    clearTimeout(timer);
    if (isRunning) {
      isDue = true;
      abort.abort();
      return;
    }
    isRunning = true;
    do {
      if (!document.hidden || isDue) await once();
    } while (isDue && !isStopped);
    isRunning = false;
    if (!isStopped) timer = setTimeout(turn, ms);
  };
  turn();
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    abort.abort();
  };
  return { stop, again: turn };
}
