// What the server tells unasked: a snapshot a second and events. If the stream breaks it is opened again, and meanwhile the
// snapshot is asked for.

import { call, get, raw } from './api.js';
import { timesOf } from './figures.js';

const POINTS_MAX = 600;
const EVENTS_MAX = 300;
const SILENCE_MS = 5000;
const AGAIN_MS = 1000;
const POLLS_PER_TRY = 3;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/// The events of a text/event-stream, as pairs of name and data, until it ends or the signal fires.
export async function* eventsOf(body, quiet) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    quiet();
    text += value;
    const parts = text.split(/\r?\n\r?\n/);
    text = parts.pop();
    for (const part of parts) {
      let event = 'message';
      const data = [];
      for (const line of part.split(/\r?\n/)) {
        if (line.startsWith('event:')) event = line.slice(6).trim();
        else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      }
      if (data.length > 0) yield [event, data.join('\n')];
    }
  }
}

/// The page's view of the run: `status` (`starting`, `live`, `polling`, `lost`), `run`, `snapshot`, `points` (the last ten
/// minutes), `events` (the newest first). Listeners get a snapshot, `status`, `event` or `run`.
export class Live {
  constructor() {
    Object.assign(this, { status: 'starting', run: null, snapshot: null, points: [], events: [], listeners: new Set() });
  }

  on(run) {
    this.listeners.add(run);
    return () => this.listeners.delete(run);
  }

  tell(what) {
    for (const run of [...this.listeners]) run(what);
  }

  /// The first numbers: what is served, and a snapshot.
  async start() {
    const [run, snapshot] = await Promise.all([get('/v1/run'), get('/v1/snapshot?map=1')]);
    this.run = run;
    this.take(snapshot);
  }

  /// Keeps the numbers moving; never ends.
  async follow() {
    let polls = 0;
    for (;;) {
      if (polls % POLLS_PER_TRY === 0) await this.stream().catch(() => {});
      polls += 1;
      try {
        const snapshot = await call('GET', '/v1/snapshot?map=1', undefined, AbortSignal.timeout(SILENCE_MS));
        await this.reached('polling');
        this.take(snapshot);
      } catch {
        this.become('lost');
      }
      await wait(AGAIN_MS);
    }
  }

  async stream() {
    const abort = new AbortController();
    let timer = 0;
    const quiet = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    quiet();
    try {
      const answer = await raw('GET', '/v1/events?map=1', { signal: abort.signal, accept: 'text/event-stream' });
      if (!answer.ok) return;
      for await (const [event, data] of eventsOf(answer.body, quiet)) {
        await this.reached('live');
        const told = JSON.parse(data);
        if (event === 'snapshot') this.take(told);
        else this.note(event, told);
      }
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  /// The server answers. After an interruption it may be another run.
  async reached(status) {
    if (this.status === 'lost' || this.run === null) {
      const run = await get('/v1/run');
      const isOther = this.run?.started !== run.started;
      this.run = run;
      this.points.push({ t: Date.now() / 1000, gap: true });
      if (isOther) this.tell('run');
    }
    this.become(status);
  }

  become(status) {
    if (this.status === status) return;
    this.status = status;
    this.tell('status');
  }

  take(snapshot) {
    this.snapshot = snapshot;
    const late = timesOf(snapshot, this.run?.kind === 'flood');
    this.points.push({ t: Date.now() / 1000, rates: snapshot.rates ?? {}, late });
    if (this.points.length > POINTS_MAX) this.points.splice(0, this.points.length - POINTS_MAX);
    this.tell('snapshot');
  }

  note(event, told) {
    this.events.unshift({ at: new Date(), event, told });
    this.events.length = Math.min(this.events.length, EVENTS_MAX);
    this.tell('event');
    if (event === 'reload') {
      get('/v1/run').then((run) => {
        this.run = run;
        this.tell('reload');
      }, () => {});
    }
  }
}
