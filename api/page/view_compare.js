// Two runs side by side: each score's difference with its test and verdict, and the samples that came out otherwise, down to
// the evaluator's own records.
import {h, update} from './dom.js';
import {get} from './api.js';
import {count, score} from './format.js';
import {empty, panel, problem, table, verdict} from './parts.js';

const METHODS = {mcnemar_exact: "McNemar's exact test", paired_permutation: 'paired permutation test', independent: 'independent means'};

function side(item, job, value) {
  return h('td', {class: 'number'}, h('a', {href: `#/evaluations/${job.split('.')[0]}`}, score(value)));
}

function howSure(item) {
  return [`${METHODS[item.method] ?? item.method}${item.pairs ? `, ${count(item.pairs, 'pair')}` : ''}`,
    item.p_adjusted !== null && (item.p_adjusted < 0.001 ? 'p < 0.001' : `p = ${score(item.p_adjusted, 3)}`), item.detectable !== null && `could have shown ${score(item.detectable, 3)}`].filter(Boolean).join('; ');
}

function row(item, open) {
  const flips = item.flips;
  return h('tr', {},
    h('th', {scope: 'row', class: 'wrap'}, item.task, h('div', {class: 'soft small'}, item.metric, item.score !== item.metric && ` / ${item.score}`, item.lower_is_better && ', lower is better')),
    h('td', {class: 'verdict'}, verdict(item.verdict), h('div', {class: 'soft small wrap'}, howSure(item)), item.differs?.length > 0 && h('div', {class: 'small wrap'}, `other ${item.differs.join(', ')}`)),
    h('td', {class: 'number'}, item.difference > 0 && '+', score(item.difference), item.ci95 && h('div', {class: 'soft small'}, `${score(item.ci95[0], 3)} to ${score(item.ci95[1], 3)}`)),
    side(item, item.a_job, item.a), side(item, item.b_job, item.b),
    h('td', {}, flips ? h('button', {onclick: () => open(item), disabled: flips.better + flips.worse === 0, 'aria-label': `${flips.worse} worse, ${flips.better} better: samples of ${item.task} that flipped`},
      `${flips.worse} worse, ${flips.better} better`) : h('span', {class: 'soft small'}, 'no samples in common')));
}

const record = async (path) => JSON.stringify(await get(path.replace(/^\/v1\//, '')), null, 2);

function flipRow(flip, show) {
  return h('tr', {}, h('td', {class: 'number'}, flip.id ?? '–'), h('td', {class: 'number'}, score(flip.a)), h('td', {class: 'number'}, score(flip.b)),
    h('td', {}, h('button', {onclick: () => show(flip)}, 'Both records')));
}

export async function show(view, {query}) {
  const wanted = {a: query.get('a') ?? '', b: query.get('b') ?? ''};
  const below = h('div', {'data-keep': true});
  const records = h('div', {});
  const go = (event) => {
    event.preventDefault();
    location.hash = `#/compare?${new URLSearchParams([...new FormData(event.currentTarget)].map(([name, value]) => [name, value.trim()]))}`;
  };
  async function showRecords(flip) {
    records.replaceChildren(h('p', {class: 'empty'}, 'Reading from the cluster …'));
    const both = await Promise.all([flip.a_sample, flip.b_sample].map((path) => record(path).then((words) => h('pre', {class: 'log', tabindex: '0'}, words), problem)));
    records.replaceChildren(h('div', {class: 'columns inside'}, both.map((body, i) => h('div', {}, h('h3', {}, i ? 'B' : 'A'), body))));
    records.scrollIntoView({block: 'nearest'});
  }
  function open(item) {
    records.replaceChildren();
    below.replaceChildren(panel(`Samples of ${item.task} that flipped`, h('div', {},
      table([['Sample', 'number'], ['A', 'number'], ['B', 'number'], [h('span', {class: 'unseen'}, 'Records')]], item.flips.samples.map((flip) => flipRow(flip, showRecords)), 'Samples that flipped'),
      item.flips.more > 0 && h('p', {class: 'soft inside'}, `${count(item.flips.more, 'more')} not listed`), records),
    h('button', {onclick: () => below.replaceChildren()}, 'Close')));
    below.scrollIntoView({block: 'nearest'});
  }
  const form = h('form', {class: 'row', onsubmit: go},
    ['a', 'b'].map((name) => h('label', {class: 'field'}, name.toUpperCase(), h('input', {name, required: true, size: '26', value: wanted[name], placeholder: 'an id, or model:NAME'}))),
    h('button', {class: 'main'}, 'Compare'));
  const head = [h('h1', {}, 'Compare'), form];
  if (!wanted.a || !wanted.b) {
    update(view, head, empty('Nothing to compare yet', 'Name two jobs or evaluations by their id, or models as model:NAME; or follow a difference in ', h('a', {href: '#/results'}, 'Results'), '.'));
    return {};
  }
  const found = await get('compare', {...wanted, flips: 'true'}).catch((error) => error);
  const body = found instanceof Error ? problem(found) : panel(h('span', {class: 'wrap'}, `${found.a.model} and ${found.b.model}`), found.items.length
    ? h('div', {class: 'verdicts'}, table([['Score'], ['Is B better?'], ['B − A', 'number'], ['A', 'number'], ['B', 'number'], ['Samples that flipped']],
      found.items.map((item) => row(item, open)), 'Comparison'))
    : empty('They have no score in common', 'Only jobs that have succeeded count.'));
  update(view, head, body, below);
  return {};
}
