// Numbers, times and bytes as people read them.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/// A count: 1,234,567.
export function count(n) {
  return typeof n === 'number' && Number.isFinite(n) ? whole.format(n) : '–';
}

/// A count that must be short: 12.3 M.
export function short(n) {
  if (typeof n !== 'number' || !Number.isFinite(n)) return '–';
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} G`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(n >= 1e7 ? 1 : 2)} M`;
  return count(n);
}

/// A rate per second: small ones with one decimal.
export function rate(n) {
  if (typeof n !== 'number' || !Number.isFinite(n)) return '–';
  return n > 0 && n < 10 ? n.toFixed(1) : short(Math.round(n));
}

/// Microseconds with the unit that suits them: 842 µs, 1.24 ms, 2.1 s.
export function micros(us) {
  if (typeof us !== 'number' || !Number.isFinite(us)) return '–';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(2)} ms`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(0)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

/// A share: 4.2 %.
export function percent(share) {
  if (typeof share !== 'number' || !Number.isFinite(share)) return '–';
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

const two = (n) => String(n).padStart(2, '0');

/// The time of day, here: 14:03:09.
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/// The time of day of an RFC 3339 text, here, with milliseconds; the text itself if it is none.
export function moment(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? String(text) : `${clock(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/// A span: 3 d 04:05:06.
export function span(seconds) {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return '–';
  const s = Math.floor(seconds);
  const days = Math.floor(s / 86_400);
  const rest = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return days > 0 ? `${days} d ${rest}` : rest;
}

/// Hex digits in groups of four bytes.
export function hex(digits) {
  return (String(digits ?? '').match(/.{1,8}/g) ?? []).join(' ');
}

/// Hex digits as lines of 16 bytes, each with its offset.
export function dump(digits, from = 0) {
  const lines = String(digits ?? '').match(/.{1,32}/g) ?? [];
  return lines.map((line, i) => `${(from + i * 16).toString(16).padStart(4, '0')}  ${hex(line)}`).join('\n');
}
