// Models against tasks, the newest score of each, and, with a baseline, what changed. A difference is coloured only where the
// service's verdict says that there is one.
import {h, update} from './dom.js';
import {get} from './api.js';
import {score} from './format.js';
import {calm, empty, table, verdict} from './parts.js';

function difference(cell, base) {
  if (cell.delta === null || cell.delta === undefined) return null;
  const words = `${cell.delta > 0 ? '+' : ''}${score(cell.delta)}`;
  const shown = ['better', 'worse'].includes(cell.verdict) ? verdict(cell.verdict, words) : h('span', {class: 'soft small', title: (cell.verdict ?? 'not tested').replaceAll('_', ' ')}, words);
  return base ? h('a', {href: `#/compare?a=${base.job}&b=${cell.job}`, 'aria-label': `Compare: ${words}, ${(cell.verdict ?? '').replaceAll('_', ' ')}`}, shown) : shown;
}

function cellNode(cell, isBaseline, base) {
  if (!cell) return h('td', {class: 'number soft'}, '–');
  return h('td', {class: 'number'},
    h('a', {href: `#/evaluations/${cell.job.split('.')[0]}`}, score(cell.value)), ' ', !isBaseline && difference(cell, base),
    h('div', {class: 'soft small'}, cell.ci95 ? `${score(cell.ci95[0], 3)} to ${score(cell.ci95[1], 3)}` : cell.stderr !== null ? `± ${score(cell.stderr)}` : '',
      cell.differs?.length > 0 && ` · other ${cell.differs.join(', ')}`));
}

function matrix({columns, rows}) {
  const baseline = rows.find((row) => row.baseline)?.cells ?? [];
  return table([['Model'], ...columns.map((column) => [h('span', {}, column.task, h('br'), column.metric), 'number'])],
    rows.map((row) => h('tr', {}, h('th', {scope: 'row', class: 'wrap'}, row.model, row.checkpoint && h('div', {class: 'soft small'}, row.checkpoint), row.baseline && h('div', {class: 'small'}, 'baseline')),
      row.cells.map((cell, i) => cellNode(cell, row.baseline, baseline[i])))), 'Scores');
}

export async function show(view, {query}) {
  const go = (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams([...new FormData(event.currentTarget)].filter(([, value]) => value));
    location.hash = `#/results${wanted.size ? `?${wanted}` : ''}`;
  };
  const again = async () => {
    const found = await get('results', {...Object.fromEntries(query), form: 'matrix', latest: 'true'});
    const models = [...new Set(found.rows.map((row) => row.model))];
    const form = h('form', {class: 'row', onsubmit: go, onchange: (event) => event.currentTarget.requestSubmit()},
      h('label', {class: 'field'}, 'Task', h('input', {name: 'task', value: query.get('task') ?? ''})),
      h('label', {class: 'field'}, 'Model', h('input', {name: 'model', value: query.get('model') ?? ''})),
      h('label', {class: 'field'}, 'Baseline', h('select', {name: 'baseline'}, h('option', {value: ''}, 'none'), models.map((name) => h('option', {value: name, selected: query.get('baseline') === name}, name)))));
    update(view, h('div', {class: 'head'}, h('h1', {}, 'Results'), h('a', {href: '#/compare'}, 'Compare two runs')), form, h('section', {class: 'panel'}, found.rows.length ? matrix(found)
      : empty('No score yet', 'Scores come when a job has ended well. ', h('a', {href: '#/evaluations'}, 'Evaluations'))));
  };
  await again();
  const soon = calm(() => again().catch(() => {}), 1000);
  return {event: (event) => event.kind === 'results.recorded' && soon()};
}
