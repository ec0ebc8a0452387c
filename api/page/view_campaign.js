// One campaign: its scores over the steps, and each value with its evaluation.
import {h, update} from './dom.js';
import {get, post, segment} from './api.js';
import {count, time} from './format.js';
import {calm, confirm, empty, labels, panel, problem, state, table} from './parts.js';
import {curve, unordered} from './curve.js';

const VALUES_MAX = 500; // that are shown

function valueRow(value) {
  return h('tr', {'data-key': value.value}, h('td', {}, state(value.state)), h('td', {class: 'number'}, value.step === null ? '–' : value.step.toLocaleString('en')),
    h('td', {class: 'wrap mono small'}, value.evaluation ? h('a', {href: `#/evaluations/${value.evaluation}`}, value.value) : value.value, 
      value.conversion && h('div', {class: 'soft'}, 'Conversion ', h('a', {href: `#/evaluations/${value.conversion.job.split('.')[0]}`}, value.conversion.state.replaceAll('_', ' ')), !value.evaluation && value.conversion.reason && `: ${value.conversion.reason}`),
      value.error && h('div', {class: 'soft'}, value.error)),
    h('td', {class: 'number'}, time(value.submitted_at)));
}

export async function show(view, {id, me, may}) {
  const path = `campaigns/${segment(id)}`;
  const said = h('div', {'data-keep': true});
  async function ask(verb, words) {
    if (words && !await confirm(`Cancel the campaign?`, words, 'Cancel it')) return;
    said.replaceChildren();
    await post(`${path}/${verb}`).catch((error) => said.replaceChildren(problem(error)));
    await again();
  }
  const again = async () => {
    const campaign = await get(path);
    const curves = (campaign.curves ?? []).flatMap((one) => [curve(one), unordered(one)]).filter(Boolean);
    const mine = may('admin') || (may('user') && campaign.user === me.user);
    const tally = Object.entries(Object.groupBy(campaign.values, (value) => value.state)).map(([name, values]) => `${values.length} ${name.replaceAll('_', ' ')}`);
    update(view, h('div', {class: 'head'}, h('div', {}, h('h1', {}, campaign.name),
      h('div', {class: 'row soft'}, state(campaign.state), h('span', {}, `${campaign.user}, ${campaign.live} at once, ${campaign.order.replaceAll('_', ' ')}`), h('span', {}, 'made ', time(campaign.created_at)), h('span', {class: 'mono small'}, campaign.parameter), labels(campaign.labels))),
    mine && h('div', {class: 'row'}, campaign.state === 'active' && h('button', {onclick: () => ask('pause')}, 'Pause'), campaign.state === 'paused' && h('button', {onclick: () => ask('resume')}, 'Resume'),
      ['active', 'paused'].includes(campaign.state) && h('button', {class: 'danger', onclick: () => ask('cancel', 'No further value is submitted, and what runs is cancelled.')}, 'Cancel'))),
    said, campaign.reason && h('div', {class: 'note wait'}, campaign.reason),
    campaign.curves && panel(campaign.values.every((value) => value.step === null) ? 'Scores' : 'Scores over the steps', curves.length ? h('div', {class: 'columns inside'}, curves) : empty('No score yet', 'A point comes when the evaluation of a value has ended well.')),
    panel(count(campaign.values.length, 'value'), table([['State'], ['Step', 'number'], ['Value'], ['Submitted', 'number']], campaign.values.slice(0, VALUES_MAX).map(valueRow), 'Values'), h('span', {class: 'soft small'}, tally.join(', '))));
  };
  await again();
  const soon = calm(() => again().catch(() => {}), 1000);
  return {event: (event) => (event.kind.startsWith('campaign.') || event.kind.startsWith('evaluation.') || event.kind === 'results.recorded') && soon()};
}
