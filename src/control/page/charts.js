// Rates and lateness over the last ten minutes, drawn by uPlot.

import { el } from './dom.js';
import { clock, micros, rate } from './format.js';
import { rateName, shownKeys, timesOf } from './figures.js';
import { t } from './settings.js';

const HEIGHT = 190;
const WINDOW_MIN_S = 120;
const WINDOW_MAX_S = 600;
/// How a line is told from the others without its colour.
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3], [1, 4], [12, 4], [4, 2]];

/// A colour of the style sheet as the canvas takes it.
export function colour(variable) {
  const probe = el('span', { hidden: true });
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const out = getComputedStyle(probe).color;
  probe.remove();
  return out;
}

function axis(values, size) {
  const grid = { stroke: colour('--rule'), width: 1 };
  return { stroke: colour('--soft'), grid, ticks: { ...grid, size: 4 }, font: '11px system-ui, sans-serif', values, size, gap: 4 };
}

/// Lets the keyboard show and hide lines, as a click on their names in the legend does.
function legendKeys(node, plot) {
  node.querySelectorAll('.u-legend .u-series:not(:first-child) th').forEach((head, i) => {
    const told = () => head.setAttribute('aria-pressed', String(plot.series[i + 1].show));
    for (const [key, value] of [['tabindex', '0'], ['role', 'button']]) head.setAttribute(key, value);
    told();
    head.addEventListener('click', () => setTimeout(told));
    head.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      head.click();
    });
  });
}

/// One chart: `lines` are `{ label, value(point), show }`, `text` writes a value, `isLog` is the scale. `update(points)` draws.
function chart(name, lines, text, isLog) {
  const node = el('div', { class: 'chart' });
  const cursor = (u, value) => (value === null || value === undefined ? '–' : text(value));
  const options = {
    width: 300, height: HEIGHT, pxAlign: 0,
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: {
      x: { time: true, range: (u, from, to) => [Math.min(to - WINDOW_MIN_S, Math.max(from, to - WINDOW_MAX_S)), to] },
      y: isLog ? { distr: 3, range: (u, low, high) => [Math.max(1, 10 ** Math.floor(Math.log10(low || 1))), 10 ** Math.ceil(Math.log10(Math.max(high || 0, 1000)))] }
        : { range: (u, low, high) => [0, Math.max(1, (high || 0) * 1.08)] },
    },
    axes: [
      axis((u, splits) => splits.map((s) => clock(new Date(s * 1000)).slice(0, 8)), 26),
      axis((u, splits) => splits.map((s) => (s === null ? '' : text(s))), 58),
    ],
    series: [
      { label: t('chart.time'), value: (u, value) => (value ? clock(new Date(value * 1000)) : '–') },
      ...lines.map((line, i) => ({
        label: line.label, value: cursor, show: line.show, stroke: colour(`--line-${i + 1}`), dash: DASHES[i % DASHES.length], width: 1.5,
        points: { show: false }, spanGaps: false,
      })),
    ],
  };
  const plot = new globalThis.uPlot(options, [[], ...lines.map(() => [])], node);
  const picture = node.querySelector('.u-wrap');
  picture.setAttribute('role', 'img');
  legendKeys(node, plot);
  const size = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  });
  size.observe(node);
  const update = (points) => {
    const values = lines.map((line) => points.map((point) => (point.gap ? null : line.value(point))));
    plot.setData([points.map((point) => point.t), ...values]);
    // Without a cursor the legend has the newest values.
    if (plot.cursor.idx === null || plot.cursor.idx === undefined) plot.setLegend({ idx: points.length - 1 }, false);
    const last = lines.map((line, i) => `${line.label} ${text(values[i].at(-1) ?? 0)}`);
    picture.setAttribute('aria-label', `${name}: ${last.join(', ')}`);
  };
  return { node, update, end() { size.disconnect(); plot.destroy(); } };
}

/// Lines that are drawn at first; the others wait for a click on their name.
const SHOWN = new Set(['sent', 'received', 'answered', 'dropped', 'lost', 'wrong', 'messages']);

/// The chart of rates for what this snapshot has.
export function rateChart(snapshot, isFlood) {
  const lines = shownKeys(snapshot, isFlood).slice(0, 7).map((key) => ({
    label: rateName(key, isFlood), value: (point) => point.rates?.[key] ?? null, show: SHOWN.has(key),
  }));
  return chart(t('chart.rates'), lines, rate, false);
}

/// The chart of lateness, or of latency.
export function lateChart(snapshot, isFlood) {
  const times = timesOf(snapshot, isFlood);
  // The scale is logarithmic: under a microsecond is one.
  const at = (key) => (point) => (point.late?.[key] === undefined ? null : Math.max(1, point.late[key]));
  const lines = ['p50', 'p90', 'p99', 'max'].filter((key) => key in times).map((key) => ({
    label: key === 'max' ? t('chart.max') : key, value: at(key), show: true,
  }));
  return chart(t(isFlood ? 'chart.latency' : 'chart.late'), lines, micros, true);
}
