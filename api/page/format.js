// Numbers and times as people read them, always with their unit.
import {h} from './dom.js';

const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto', style: 'narrow'});
const STEPS = [[60, 'second', 1], [3600, 'minute', 60], [86400, 'hour', 3600], [86400 * 60, 'day', 86400], [Infinity, 'month', 2592000]];

export function ago(iso) {
  const seconds = Math.round((new Date(iso) - Date.now()) / 1000);
  const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return relative.format(Math.trunc(seconds / size), unit);
}

// Relative, with the exact time at hand; it goes on by itself (tick()).
export function time(iso) {
  if (!iso) return h('span', {class: 'soft'}, '–');
  return h('time', {datetime: iso, title: new Date(iso).toString()}, ago(iso));
}

export function tick() {
  for (const node of document.querySelectorAll('time[datetime]')) {
    const text = ago(node.dateTime);
    if (node.textContent !== text) node.textContent = text;
  }
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export function bytes(size) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}

export function score(value, digits = 4) {
  return value === null || value === undefined ? '–' : Number(value.toFixed(digits)).toString();
}
