// Elements made from data. Text from outside only ever becomes a text node: nothing here takes markup.

const SVG = 'http://www.w3.org/2000/svg';

/// An element. `props`: `class`, `on` (an object of listeners), `data` (an object of data attributes), properties that
/// are no strings (`disabled`, `hidden`, `checked`), and attributes. Children: nodes, texts, or nothing.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (key === 'on') for (const [name, run] of Object.entries(value)) node.addEventListener(name, run);
    else if (key === 'data') Object.assign(node.dataset, value);
    else if (typeof value === 'boolean') node[key] = value;
    else node.setAttribute(key === 'className' ? 'class' : key, value);
  }
  return add(node, ...children);
}

/// Appends nodes and texts; lists are taken apart, and null, undefined and false are left out.
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/// Replaces all that is in it.
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, ...children);
}

/// Sets a text if it has changed: a node that is written every second is laid out again only if it must be.
export function say(node, text) {
  const now = String(text);
  if (node.textContent !== now) node.textContent = now;
}

/// A name from outside: its direction of writing does not leak into what stands beside it.
export function name(text, props = {}) {
  return el('bdi', props, text);
}

/// The address of an FSU's page.
export function pageOf(fsu) {
  return `#/fsu/${encodeURIComponent(fsu)}`;
}

/// A link to an FSU's page.
export function linkTo(fsu) {
  return el('a', { href: pageOf(fsu), class: 'fsu' }, name(fsu));
}

/// A button; `run` is what a click does.
export function button(text, run, props = {}) {
  return el('button', { type: 'button', ...props, on: { click: run } }, text);
}

/// A label with its control below it.
export function field(text, control, props = {}) {
  return el('label', { ...props, class: `field ${props.class ?? ''}` }, el('span', {}, text), control);
}

/// A choice; `options` are pairs of value and text.
export function select(options, chosen, props = {}) {
  const node = el('select', props);
  for (const [value, text] of options) node.append(el('option', { value, selected: value === chosen }, text));
  return node;
}

/// A part of the page with a heading; `panel.body` is where its content goes, `panel.tools` is beside the heading.
export function panel(title, props = {}) {
  const tools = el('div', { class: 'tools' });
  const body = el('div', { class: 'body' });
  const heading = el('h2', {}, title);
  const node = el('section', { 'aria-label': title, ...props, class: `panel ${props.class ?? ''}` },
    el('div', { class: 'head' }, heading, tools), body);
  return Object.assign(node, { tools, body, heading });
}

/// A table: `columns` are `{ text, class, label }`; the rows are replaced with `table.rows(list of lists of cells)`.
/// A cell is a node, a text, or `{ node, class }`.
export function table(columns, props = {}) {
  const body = el('tbody');
  const head = el('tr', {}, columns.map((column) => el('th', { scope: 'col', class: column.class, title: column.title }, column.text)));
  const node = el('div', { class: 'scroll' }, el('table', props, el('thead', {}, head), body));
  const rows = (list, empty) => {
    if (list.length === 0) {
      return fill(body, el('tr', {}, el('td', { colspan: columns.length, class: 'empty' }, empty ?? '')));
    }
    return fill(body, list.map((cells) => el('tr', {}, cells.map((cell, i) => el('td', { class: columns[i].class }, cell)))));
  };
  return Object.assign(node, { rows, head, body });
}

/// The shape of a state, as on the map: `[kind of shape, its numbers]` in a square of 10.
const SHAPES = {
  serving: ['rect', { x: 1, y: 1, width: 8, height: 8 }],
  idle: ['rect', { x: 3.5, y: 3.5, width: 3, height: 3 }],
  offline: ['path', { d: 'M1.5 1.5 8.5 8.5M8.5 1.5 1.5 8.5' }],
  faulty: ['path', { d: 'M5 1 9.5 9H.5Z' }],
  dialling: ['rect', { x: 1.75, y: 1.75, width: 6.5, height: 6.5 }],
};

/// A mark for a state: its shape, in its colour.
export function mark(state) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 10 10', width: 10, height: 10, class: `mark ${state}`, 'aria-hidden': 'true' })) {
    svg.setAttribute(key, value);
  }
  const [kind, numbers] = SHAPES[state] ?? SHAPES.idle;
  const shape = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(numbers)) shape.setAttribute(key, value);
  svg.append(shape);
  return svg;
}
