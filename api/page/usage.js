// GPU hours: what they went to. Of attempts that have ended.
import {h} from './dom.js';
import {get} from './api.js';
import {count, duration} from './format.js';
import {bar, empty, table} from './parts.js';

const DAY_MS = 86400000;

export function ago(days) {
  return new Date(Date.now() - days * DAY_MS).toISOString();
}

// Rounded to the minute, so that the answer may be the same as a moment ago.
export async function usage(by, days) {
  const since = `${ago(days).slice(0, 16)}:00Z`;
  return (await get('usage', {by: by || undefined, since})).items;
}

export function hours(seconds) {
  const value = seconds / 3600;
  return value >= 10 ? Math.round(value).toLocaleString('en') : value.toFixed(1);
}

export function wasted(row) {
  const {start_up, idle, lost} = row.gpu_s_waste;
  return start_up + idle + lost;
}

export function wasteWords(row) {
  const {start_up, idle, lost} = row.gpu_s_waste;
  return `start-up ${hours(start_up)} h, idle ${hours(idle)} h, lost ${hours(lost)} h`;
}

export function usageTable(rows, heading, key) {
  if (!rows.length) return empty('Nothing has ended in that time');
  const most = Math.max(...rows.map((row) => row.gpu_s), 1);
  return table([[heading], ['GPU hours', 'number'], [h('span', {class: 'unseen'}, 'Share')], ['Of these wasted', 'number'], ['Jobs', 'number'], ['In queues', 'number']],
    [...rows].sort((a, b) => b.gpu_s - a.gpu_s).map((row) => h('tr', {}, h('th', {scope: 'row', class: 'wrap'}, row[key] ?? '–'), h('td', {class: 'number'}, hours(row.gpu_s)),
      h('td', {class: 'share'}, bar([[(row.gpu_s - wasted(row)) / most, 'busy'], [wasted(row) / most, 'wait']], `${hours(row.gpu_s)} GPU hours, ${hours(wasted(row))} of them wasted`)),
      h('td', {class: 'number', title: wasteWords(row)}, `${hours(wasted(row))} h`), h('td', {class: 'number', title: count(row.attempts, 'attempt')}, row.jobs.toLocaleString('en')), h('td', {class: 'number soft'}, duration(row.queue_s)))), heading);
}
