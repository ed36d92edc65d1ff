// The cells of the map: which is where, and their pixels. Nothing here knows the page.

/// Letters of the map's text, and the states that they are.
export const LETTERS = { s: 'serving', i: 'idle', o: 'offline', f: 'faulty', d: 'dialling' };
export const STATES = Object.values(LETTERS);

/// Cells are this large at least, and at most, in pixels of the page; with one pixel between them.
const SIZE_MIN = 4;
const SIZE_MAX = 18;

/// How `count` cells lie in `width` pixels, at about `height` pixels high: size of a cell with its gap, columns, rows.
export function layout(count, width, height) {
  const ideal = Math.floor(Math.sqrt((width * height) / Math.max(1, count)));
  const size = Math.max(SIZE_MIN, Math.min(SIZE_MAX, ideal));
  const columns = Math.max(1, Math.floor(width / size));
  return { size, columns, rows: Math.max(1, Math.ceil(count / columns)) };
}

/// Whether the shape of a state covers this point of the unit square.
function covers(state, x, y, pixel) {
  const middle = Math.max(Math.abs(x - 0.5), Math.abs(y - 0.5));
  switch (state) {
    case 'serving': return true;
    case 'idle': return middle < 0.22 + pixel / 4;
    case 'offline': return Math.min(Math.abs(x - y), Math.abs(x + y - 1)) < Math.max(0.14, pixel * 0.51);
    case 'faulty': return Math.abs(x - 0.5) <= y / 2 + pixel / 8;
    default: return middle > 0.5 - Math.max(pixel, 0.16);
  }
}

/// The pixels of a state's cell: `size` is with the gap, in device pixels; `colours` (the shape's, the cell's, the gap's) are
/// 32 bits as ImageData has them.
export function sprite(state, size, gap, [ink, paper, ground]) {
  const pixels = new Uint32Array(size * size).fill(ground);
  const inner = size - gap;
  for (let y = 0; y < inner; y += 1) {
    for (let x = 0; x < inner; x += 1) {
      pixels[y * size + x] = covers(state, (x + 0.5) / inner, (y + 0.5) / inner, 1 / inner) ? ink : paper;
    }
  }
  return pixels;
}

/// Copies a cell's pixels into the picture.
export function put(picture, stride, cell, size, left, top) {
  for (let y = 0; y < size; y += 1) picture.set(cell.subarray(y * size, (y + 1) * size), (top + y) * stride + left);
}

/// `rgb(…)` or `color(srgb …)`, as a style has it, in the order of ImageData's bytes.
export function packed(text) {
  const numbers = text.match(/[\d.]+/g).map(Number);
  const [r, g, b] = text.startsWith('color') ? numbers.map((n) => Math.round(n * 255)) : numbers;
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/// The cells that differ between two texts of the same length; all of them if the lengths differ.
export function changed(before, after) {
  const out = [];
  const isOther = before.length !== after.length;
  for (let i = 0; i < after.length; i += 1) {
    if (isOther || before.charCodeAt(i) !== after.charCodeAt(i)) out.push(i);
  }
  return out;
}
