// The first view: figures, charts, the map, and who is busy.

import { lateChart, rateChart } from './charts.js';
import { el, fill, linkTo, panel, say, table } from './dom.js';
import { figures } from './figures.js';
import { count, micros, percent, rate } from './format.js';
import { eventRow } from './lists.js';
import { fleetMap } from './map.js';
import { runPanel } from './run.js';
import { onSetting, t } from './settings.js';

const EVENTS = 8;

/// Charts and map have the colours of the theme in their pixels: both are made again when it changes.
function charts(live) {
  const node = el('div', { class: 'charts' });
  const isFlood = live.run.kind === 'flood';
  let [rates, late] = [null, null];
  const make = () => {
    rates?.end();
    late?.end();
    [rates, late] = [rateChart(live.snapshot, isFlood), lateChart(live.snapshot, isFlood)];
    const one = (title, chart) => {
      const box = panel(title, { class: 'plot' });
      box.body.append(chart.node);
      return box;
    };
    fill(node, one(t('chart.rates'), rates), one(t(isFlood ? 'chart.latency' : 'chart.late'), late));
    update();
  };
  const update = () => {
    rates.update(live.points);
    late.update(live.points);
  };
  make();
  return { node, make, update, end() { rates.end(); late.end(); } };
}

/// A table of names with a figure each, as a list of bars.
function ranking(title, empty, valueOf) {
  const box = panel(title, { class: 'rank' });
  const list = el('ol', { class: 'bars' });
  box.body.append(list);
  const update = (items) => {
    const most = Math.max(1e-9, ...items.map(valueOf));
    if (items.length === 0) return fill(list, el('li', { class: 'empty' }, empty));
    // The rows are used again: a link that has the focus keeps it.
    while (list.children.length > items.length || list.querySelector('.empty')) list.lastChild.remove();
    items.forEach((item, i) => {
      const row = list.children[i] ?? list.appendChild(el('li', {}, el('span', { class: 'bar' }), el('span', { class: 'of cut' }), el('b')));
      const [bar, of, value] = row.children;
      bar.style.width = `${(100 * valueOf(item)) / most}%`;
      if (of.dataset.name !== item.name) {
        of.dataset.name = item.name;
        fill(of, item.isFsu ? linkTo(item.name) : el('code', {}, item.name));
      }
      say(value, item.text);
    });
    return list;
  };
  return { box, update };
}

function shardTable() {
  const box = panel(t('shards'), {});
  const columns = ['shard', 'cpu', 'fsus', 'received_per_s', 'answered_per_s', 'busy', 'late_p99_us'];
  const rows = table(columns.map((key) => ({ text: t(`shard.${key}`), class: 'n' })));
  box.body.append(rows);
  const update = (shards) => rows.rows(shards.map((s) => [
    count(s.shard), count(s.cpu), count(s.fsus), rate(s.received_per_s), rate(s.answered_per_s), s.busy === null || s.busy === undefined ? '–' : percent(s.busy), micros(s.late_p99_us),
  ]));
  return { box, update };
}

/// Panels for the parts of a snapshot; each is hidden as long as the snapshot has no such part.
function parts(live) {
  const isFlood = live.run.kind === 'flood';
  const reasons = ranking(t(isFlood ? 'reasons.flood' : 'reasons'), t(isFlood ? 'reasons.flood_none' : 'reasons.none'), (item) => item.n);
  const busiest = ranking(t('busiest'), t('busiest.none'), (item) => item.n);
  const noisiest = ranking(t('noisiest'), t('noisiest.none'), (item) => item.n);
  const shards = shardTable();
  const events = panel(t('events'), { class: 'events' });
  const list = el('ul', { class: 'log' });
  events.tools.append(el('a', { href: '#/events' }, t('all')));
  events.body.append(list);
  const toFsu = (key) => (item) => ({ name: item.name, isFsu: true, n: item[key], text: `${rate(item[key])}/s` });
  const update = (s) => {
    const words = Object.entries(s.reasons ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).slice(0, 10);
    // A load generator has no ranking of FSUs, and may have no shards.
    const isThere = (value) => value !== undefined && !(isFlood && value.length === 0);
    for (const [part, value] of [[reasons.box, s.reasons], [busiest.box, s.busiest], [noisiest.box, s.noisiest], [shards.box, s.shards]]) part.hidden = !isThere(value);
    reasons.update(words.map(([name, n]) => ({ name, n, text: count(n) })));
    busiest.update((s.busiest ?? []).map(toFsu('per_s')));
    noisiest.update((s.noisiest ?? []).map(toFsu('dropped_per_s')));
    shards.update(s.shards ?? []);
  };
  const note = () => fill(list, live.events.length === 0 ? el('li', { class: 'empty' }, t('events.none')) : live.events.slice(0, EVENTS).map(eventRow));
  note();
  return { nodes: [el('div', { class: 'ranks' }, busiest.box, noisiest.box, reasons.box), el('div', { class: 'pair' }, shards.box, events)], update, note };
}

/// The view. `live` has a snapshot already.
export function overview(root, { live, api }) {
  const strip = figures(live.run.kind === 'flood');
  const plots = charts(live);
  const below = parts(live);
  const { node: mapNode, map } = fleetMap();
  const mapPanel = panel(t('map'), {});
  mapPanel.body.append(mapNode);
  const run = runPanel(live, api);
  root.append(el('h1', { class: 'unseen', tabindex: '-1' }, t('nav.overview')), strip.node, plots.node, mapPanel, ...below.nodes, run.node);
  const update = () => {
    const s = live.snapshot;
    strip.update(s);
    plots.update();
    mapPanel.hidden = s.map === undefined;
    if (s.map !== undefined) map.update(s.map, s.states);
    below.update(s);
    run.update();
  };
  update();
  const offSetting = onSetting((what) => {
    if (what !== 'theme') return;
    plots.make();
    map.redraw();
  });
  return {
    on(what) {
      if (what === 'snapshot') update();
      if (what === 'event') below.note();
      if (what === 'reload') {
        map.names.known.clear();
        run.make();
      }
    },
    leave() {
      offSetting();
      plots.end();
      map.end();
    },
  };
}
