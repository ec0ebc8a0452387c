// All evaluations, newest first; the filters are in the address, so that a link shows the same.
import {h, update} from './dom.js';
import {get} from './api.js';
import {time} from './format.js';
import {calm, empty, labels, problem, progress, state} from './parts.js';
import {virtualList} from './virtual_list.js';

const STATES = ['', 'queued', 'running', 'succeeded', 'failed', 'cancelled'];
const ORDERS = [['', 'newest first'], ['created', 'oldest first'], ['-updated', 'last changed first']];
const PAGE = 500;
const EMPTY_PAGES = 20; // that are gone through for the first row
const FIELDS = [['user', 'Person'], ['cluster', 'Cluster'], ['model', 'Model'], ['task', 'Task'], ['label', 'Label', 'key:value']];

function row(evaluation) {
  const tasks = evaluation.jobs.map((job) => job.task).join(', ');
  const marks = labels(evaluation.labels);
  return h('a', {class: 'list-row', href: `#/evaluations/${evaluation.id}`},
    h('span', {}, state(evaluation.state)),
    h('span', {class: 'cut', title: evaluation.model}, evaluation.model),
    h('span', {class: 'cut soft', title: [tasks, ...marks.map((mark) => mark.textContent)].join('\n')}, marks, marks.length > 0 && ' ', tasks),
    h('span', {}, progress(evaluation.counts)),
    h('span', {class: 'cut soft'}, evaluation.user),
    h('span', {class: 'cut soft'}, evaluation.cluster),
    h('span', {class: 'soft small'}, time(evaluation.created_at)));
}

let typing = null; // the field in which somebody is, as the view is made anew with what was filled in

function filters(query) {
  const go = () => {
    typing = document.activeElement?.closest('#filters') ? document.activeElement.name : null;
    const form = new FormData(document.getElementById('filters'));
    const wanted = new URLSearchParams([...form].filter(([, value]) => value));
    location.hash = `#/evaluations${wanted.size ? `?${wanted}` : ''}`;
  };
  return h('form', {id: 'filters', class: 'row', role: 'search', onsubmit: (e) => { e.preventDefault(); go(); }, onchange: () => setTimeout(go)},
    h('label', {class: 'field'}, 'Search', h('input', {name: 'search', type: 'search', size: '18', value: query.get('search') ?? '', placeholder: 'words, 3 letters or more'})),
    h('label', {class: 'field'}, 'State', h('select', {name: 'state'},
      STATES.map((name) => h('option', {value: name, selected: query.get('state') === name}, name || 'any')))),
    FIELDS.map(([name, words, hint]) => h('label', {class: 'field'}, words,
      h('input', {name, size: '12', value: query.get(name) ?? '', placeholder: hint}))),
    h('label', {class: 'field'}, 'Order', h('select', {name: 'sort'},
      ORDERS.map(([name, words]) => h('option', {value: name, selected: (query.get('sort') ?? '') === name}, words)))));
}

export async function show(view, {query, may}) {
  const wanted = Object.fromEntries(query);
  const said = h('div', {});
  const known = new Map();
  let order = [];
  let next = null;
  let reading = null;
  const list = virtualList('Evaluations', row, () => next && !reading && readMore());
  const count = h('span', {class: 'soft', role: 'status'});

  function draw() {
    list.set(order.map((id) => known.get(id)));
    count.textContent = `${order.length.toLocaleString('en')}${next ? ' and more' : ''}`;
    const nothing = query.size ? empty('None is like that', h('a', {href: '#/evaluations'}, 'Show all'))
      : empty('No evaluation yet', may('user') ? h('a', {href: '#/submit'}, 'Submit the first one') : 'Somebody with the role user submits the first one.');
    update(said, order.length ? [] : nothing);
    list.node.hidden = order.length === 0;
  }

  async function readPage(cursor, limit = PAGE) {
    const page = await get('evaluations', {...wanted, limit, cursor});
    for (const item of page.items) known.set(item.id, item);
    return page;
  }

  async function readMore() {
    reading = readPage(next);
    const page = await reading.catch(() => null);
    reading = null;
    if (!page) return;
    order = [...new Set([...order, ...page.items.map((item) => item.id)])];
    next = page.next;
    draw();
  }

  // Of those that are known the changed ones are read again, one by one while they are few; new ones come with the first page.
  const changed = new Set();
  const again = calm(async () => {
    const ids = [...changed];
    changed.clear();
    const first = await readPage(undefined, 50).catch(() => null);
    if (!first) return;
    const fresh = first.items.map((item) => item.id);
    if (wanted.sort === '-updated') order = [...new Set([...fresh, ...order])];
    else if (!wanted.sort) order = [...fresh.filter((id) => !order.includes(id)), ...order];
    const rest = ids.filter((id) => known.has(id) && !fresh.includes(id)).slice(0, 50);
    await Promise.all(rest.map(async (id) => {
      const page = await get('evaluations', {...wanted, id}).catch(() => null);
      if (page?.items.length) known.set(id, page.items[0]);
      else if (page) order = order.filter((other) => other !== id);
    }));
    draw();
  }, 400);

  view.append(h('div', {class: 'head'}, h('h1', {}, 'Evaluations'), count), filters(query));
  if (typing) view.querySelector(`#filters [name=${typing}]`)?.focus();
  typing = null;
  const first = await readPage(undefined).catch((error) => error);
  if (first instanceof Error) {
    view.append(problem(first));
    return {};
  }
  order = first.items.map((item) => item.id);
  next = first.next;
  for (let tries = 0; !order.length && next && tries < EMPTY_PAGES; tries++) await readMore();
  view.append(h('section', {class: 'panel'}, h('div', {class: 'list-head', 'aria-hidden': 'true'},
    ['State', 'Model', 'Tasks', 'Jobs', 'Person', 'Cluster', 'Submitted'].map((words) => h('span', {}, words))), list.node, said));
  draw();
  return {
    event(event) {
      if (!event.evaluation) return;
      changed.add(event.evaluation);
      again();
    },
    close: list.close,
  };
}
