// What more than one view shows.
import {h} from './dom.js';
import {count} from './format.js';

const LOOKS = {
  queued: ['wait', '○', 'queued'], submitting: ['wait', '◌', 'submitting'], pending: ['wait', '◔', 'pending'],
  running: ['busy', '●', 'running'], resuming: ['wait', '↻', 'resuming'], cancelling: ['off', '◌', 'cancelling'],
  succeeded: ['good', '✓', 'succeeded'], failed: ['bad', '✕', 'failed'], cancelled: ['off', '–', 'cancelled'],
  budget_exhausted: ['bad', '!', 'budget exhausted'],
  active: ['busy', '●', 'active'], paused: ['wait', '‖', 'paused'], ended: ['good', '✓', 'ended'], waiting: ['wait', '○', 'waiting'], pruned: ['off', '–', 'no longer stored'],
  refused: ['wait', '✕', 'refused'], ok: ['good', '✓', 'ok'], failing: ['bad', '✕', 'failing'], unknown: ['off', '?', 'unknown'],
};

export function look(state) {
  return LOOKS[state]?.[0] ?? 'off';
}

export function state(name) {
  const [colour, sign, words] = LOOKS[name] ?? ['off', '·', name];
  return h('span', {class: `state ${colour}`}, h('i', {'aria-hidden': 'true'}, sign), words);
}

const ENDED = ['succeeded', 'failed', 'cancelled', 'budget_exhausted'];

export function ended(name) {
  return ENDED.includes(name);
}

const VERDICTS = {
  better: ['good', '▲', 'better'], worse: ['bad', '▼', 'worse'], no_difference_shown: ['off', '=', 'no difference shown'], inconclusive: ['off', '?', 'inconclusive'],
};

// The service's word on a difference; colour only where it shows one.
export function verdict(name, words) {
  const [colour, sign, usual] = VERDICTS[name] ?? ['off', '·', name];
  return h('span', {class: `state ${colour}`, title: usual}, h('i', {'aria-hidden': 'true'}, sign), words ?? usual);
}

export function panel(title, body, ...beside) {
  return h('section', {class: 'panel'}, h('header', {}, h('h2', {}, title), ...beside), body);
}

export function empty(what, ...todo) {
  return h('div', {class: 'empty'}, h('b', {}, what), todo.length > 0 && h('p', {}, ...todo));
}

export function problem(error) {
  return h('div', {class: 'note bad', role: 'alert'}, error.message);
}

export function labels(all) {
  return Object.entries(all ?? {}).map(([key, value]) => h('span', {class: 'label'}, `${key}: ${value}`));
}

// What is free on a cluster now, as the last count says.
export function free({capacity}) {
  if (!capacity) return null;
  const {free_gpus, gpus, free_nodes, nodes} = capacity;
  return h('span', {title: `counted ${new Date(capacity.counted_at)}`}, gpus ? `${free_gpus} of ${count(gpus, 'GPU')} free, ` : '', `${free_nodes} of ${count(nodes, 'node')}${gpus ? '' : ' free'}`);
}

function words(heading) {
  return typeof heading === 'string' ? heading : [...heading.childNodes].map((node) => node.textContent).filter(Boolean).join(' ');
}

// columns: [heading, class]; a table that is too wide scrolls by itself, by keys, too. Where the window is narrow, each row is a
// block, and its cells say what they are.
export function table(columns, rows, name) {
  const labels = columns.map(([heading]) => (heading.className === 'unseen' ? '' : words(heading)));
  for (const row of rows) [...row.children].forEach((cell, i) => cell.tagName === 'TD' && labels[i] && cell.setAttribute('data-label', labels[i]));
  return h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name}, h('table', {},
    h('thead', {}, h('tr', {}, columns.map(([heading, kind]) => h('th', {scope: 'col', class: kind}, heading)))),
    h('tbody', {}, rows)));
}

// parts: [[share of 1, look]]
export function bar(parts, words) {
  return h('div', {class: 'bar', role: 'img', 'aria-label': words, title: words},
    parts.map(([share, kind]) => h('span', {class: kind, style: {width: `${Math.max(0, Math.min(1, share)) * 100}%`}})));
}

export function progress(counts) {
  const order = ['succeeded', 'failed', 'budget_exhausted', 'cancelled', 'cancelling', 'running', 'resuming'];
  const done = counts.succeeded + counts.failed + counts.cancelled + counts.budget_exhausted;
  return bar(order.filter((name) => counts[name]).map((name) => [counts[name] / counts.total, look(name)]),
    `${done} of ${counts.total} jobs ended, ${counts.succeeded} succeeded, ${counts.running} running`);
}

// Resolves to whether it was confirmed.
export function confirm(question, detail, action) {
  return new Promise((resolve) => {
    const dialog = h('dialog', {'aria-labelledby': 'question', onclose: () => { resolve(dialog.returnValue === 'yes'); dialog.remove(); }},
      h('form', {method: 'dialog'}, h('h2', {id: 'question'}, question), h('p', {class: 'soft'}, detail),
        h('div', {class: 'row'}, h('button', {value: 'yes', class: 'danger'}, action), h('button', {value: 'no', autofocus: true}, 'Back'))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Calls at most once in `ms`, and once more at the end, for what comes in bursts; never a second time before the first has
// ended, or an older answer might be drawn last.
export function calm(call, ms = 250) {
  let due = false;
  let last = Promise.resolve();
  return () => {
    if (due) return;
    due = true;
    last = Promise.all([last, new Promise((go) => setTimeout(go, ms))]).then(() => { due = false; return call(); }).catch(console.error);
  };
}
