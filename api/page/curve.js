// A score over the steps of a campaign: a line, its 95 % band, a point a value, and regressions as triangles. The numbers are
// in the list of values, too, for those who do not see the picture. Values without a step are a table.
import {h, svg} from './dom.js';
import {score} from './format.js';
import {table} from './parts.js';

const WIDTH = 480;
const HEIGHT = 170;
const LEFT = 52;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;

function range(numbers) {
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

function point(one, x, y) {
  const words = `step ${one.step.toLocaleString('en')}: ${score(one.value)}${one.ci95 ? ` (${score(one.ci95[0], 3)} to ${score(one.ci95[1], 3)})` : ''}${one.regression ? ', a regression' : ''}`;
  return svg('a', {href: `#/evaluations/${one.evaluation}`, 'aria-label': words}, svg('title', {}, words),
    one.regression ? svg('path', {class: 'bad', d: `M${x - 6} ${y - 5}h12l-6 11z`}) : svg('circle', {cx: x, cy: y, r: 4}));
}

function titleOf({task, metric, score: kind, lower_is_better}) {
  return `${task} ${metric}${kind === metric ? '' : ` / ${kind}`}${lower_is_better ? ' (lower is better)' : ''}`;
}

// The scores of values that no step orders; null where there is none.
export function unordered(one) {
  const shown = one.points.filter(({step, value}) => step === null && value !== null);
  if (!shown.length) return null;
  const title = titleOf(one);
  return h('figure', {class: 'curve'}, h('figcaption', {}, title), table([['Value'], ['Score', 'number'], ['95 %', 'number']], shown.map((point) => h('tr', {},
    h('td', {class: 'wrap mono small'}, h('a', {href: `#/evaluations/${point.evaluation}`}, point.parameter_value)), h('td', {class: 'number'}, score(point.value)),
    h('td', {class: 'number'}, point.ci95 ? `${score(point.ci95[0], 3)} to ${score(point.ci95[1], 3)}` : '–'))), title));
}

export function curve(one, baseline) {
  const shown = one.points.filter(({step, value}) => step !== null && value !== null).sort((a, b) => a.step - b.step);
  const title = titleOf(one);
  if (!shown.length) return null;
  const [low, high] = range([...shown.flatMap((one) => [one.value, ...(one.ci95 ?? [])]), ...(baseline === undefined ? [] : [baseline])]);
  const first = shown[0].step;
  const last = shown[shown.length - 1].step;
  const x = (step) => LEFT + (last === first ? 0.5 : (step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
  const at = (one, value) => `${x(one.step).toFixed(1)} ${y(value).toFixed(1)}`;
  const banded = shown.filter((one) => one.ci95);
  const level = (value) => [svg('line', {class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
    svg('text', {x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end'}, score(value, 3))];
  const marks = [0.15, 0.5, 0.85].map((share) => low + share * (high - low));
  return h('figure', {class: 'curve'}, h('figcaption', {}, title), svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `${title}, ${shown.length} steps`},
    marks.map(level),
    banded.length > 1 && svg('path', {class: 'band', d: `M${banded.map((one) => at(one, one.ci95[1])).join('L')}L${banded.reverse().map((one) => at(one, one.ci95[0])).join('L')}Z`}),
    svg('path', {class: 'line', d: `M${shown.map((one) => at(one, one.value)).join('L')}`}),
    shown.map((one) => point(one, x(one.step), y(one.value))),
    svg('text', {x: x(first), y: HEIGHT - 6, 'text-anchor': last === first ? 'middle' : 'start'}, `step ${first.toLocaleString('en')}`),
    last !== first && svg('text', {x: x(last), y: HEIGHT - 6, 'text-anchor': 'end'}, last.toLocaleString('en'))));
}
