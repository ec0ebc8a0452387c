// How things stand: what runs and waits and why, what ended today, whether the clusters are well.
import {h, update} from './dom.js';
import {get} from './api.js';
import {time, count} from './format.js';
import {hours, usage, wasted, wasteWords} from './usage.js';
import {calm, empty, free, panel, progress, state, table} from './parts.js';

const SHOWN = 12;
const WAITING = ['pending', 'queued', 'resuming', 'submitting'];

function jobRow(job) {
  return h('tr', {'data-key': job.id},
    h('td', {}, state(job.state)),
    h('td', {class: 'wrap'}, h('a', {href: `#/evaluations/${job.evaluation}`}, job.task),
      h('div', {class: 'soft small'}, `${job.model}, ${job.user} on ${job.cluster}${job.gpus ? `, ${count(job.gpus, 'GPU')}` : ''}`),
      h('div', {class: 'soft small'}, job.waiting_on ?? job.reason ?? '')),
    h('td', {class: 'number'}, time(job.started_at ?? job.created_at)));
}

function evaluationRow(evaluation) {
  return h('tr', {'data-key': evaluation.id},
    h('td', {}, state(evaluation.state)),
    h('td', {class: 'wrap'}, h('a', {href: `#/evaluations/${evaluation.id}`}, evaluation.model),
      h('div', {class: 'soft small'}, `${evaluation.user} on ${evaluation.cluster}, ${count(evaluation.counts.total, 'job')}`),
      progress(evaluation.counts)),
    h('td', {class: 'number'}, time(evaluation.updated_at)));
}

function clusterRow(cluster) {
  return h('tr', {'data-key': cluster.name},
    h('td', {}, state(cluster.health)),
    h('td', {class: 'wrap'}, h('a', {href: '#/clusters'}, cluster.name),
      h('div', {class: 'soft small'}, cluster.health === 'failing' ? cluster.last_error ?? '' : free(cluster) ?? `${cluster.sessions.busy} of ${cluster.sessions.max} sessions busy`)),
    h('td', {class: 'number'}, time(cluster.last_ok_at)));
}

function list(name, rows, nothing) {
  const columns = [['State'], ['What'], ['Since', 'number']];
  return rows.length ? table(columns, rows, name) : nothing;
}

function figure(number, words, href, title) {
  return h('a', {href, title}, h('b', {}, number), h('span', {}, words));
}

// Counts are the service's own, of all that is stored; its days are those of UTC.
async function read() {
  const today = new Date().toISOString().slice(0, 10);
  const week = new Date(Date.now() - 6 * 86400000).toISOString().slice(0, 10);
  const [counts, today_ended, week_ended, running, waiting, recent, clusters, spent] = await Promise.all([
    get('summary'), get('summary', {time: 'ended', since: `${today}T00:00:00Z`}), get('summary', {time: 'ended', since: `${week}T00:00:00Z`}),
    get('jobs', {state: 'running', limit: SHOWN}), Promise.all(WAITING.map((one) => get('jobs', {state: one, limit: SHOWN}))),
    get('evaluations', {limit: 8}), get('clusters'), usage('', 7).catch(() => null)]);
  return {counts: counts.items, ended: today_ended.items, failures: week_ended.failures, running: running.items,
    waiting: waiting.flatMap((page) => page.items).slice(0, SHOWN), recent: recent.items, clusters: clusters.items, spent};
}

const number = (items, what, ...states) => items.filter((item) => states.includes(item.state)).reduce((sum, item) => sum + item[what], 0);

function week(spent) {
  if (!spent) return null;
  const [all] = spent;
  if (!all) return figure('0', 'GPU hours used this week', '#/me');
  return figure(hours(all.gpu_s), `GPU hours this week, ${hours(wasted(all))} wasted`, '#/me', wasteWords(all));
}

function render({counts, ended, failures, running, waiting, recent, clusters, spent}, may) {
  const sick = clusters.filter((c) => c.health === 'failing').length;
  const say = (count) => count.toLocaleString('en');
  return [h('h1', {}, 'Overview'),
    h('div', {class: 'figures'},
      figure(say(number(counts, 'jobs', 'running')), 'jobs running', '#/evaluations?state=running'),
      figure(say(number(counts, 'jobs', ...WAITING)), 'jobs waiting', '#/evaluations?state=queued'),
      figure(say(number(ended, 'evaluations', 'succeeded')), 'succeeded today', '#/evaluations?state=succeeded&sort=-updated', 'evaluations that ended today, by UTC'),
      figure(say(number(ended, 'evaluations', 'failed')), 'failed today', '#/evaluations?state=failed&sort=-updated', 'evaluations that ended today, by UTC'),
      week(spent),
      figure(`${clusters.length - sick} / ${clusters.length}`, 'clusters without trouble', '#/clusters')),
    h('div', {class: 'columns'},
      panel('Running', h('div', {class: 'steady'}, list('Running', running.map(jobRow), empty('Nothing runs now')))),
      panel('Waiting', h('div', {class: 'steady'}, list('Waiting', waiting.map(jobRow), empty('Nothing waits'))))),
    h('div', {class: 'columns'},
      panel('Newest evaluations', list('Newest evaluations', recent.map(evaluationRow),
        empty('No evaluation yet', may('user') ? h('a', {href: '#/submit'}, 'Submit the first one') : 'Somebody with the role user submits the first one.')),
      h('a', {href: '#/evaluations'}, 'All')),
      h('div', {class: 'view'},
        panel('Clusters', list('Clusters', clusters.map(clusterRow), empty('No cluster', 'Name one in the settings: nel-slurmd.yaml(5).'))),
        failures.length > 0 && panel('Why jobs failed this week', table([['Cause'], ['Jobs', 'number']], failures.slice(0, 8).map((failure) => h('tr', {}, h('td', {class: 'wrap'}, failure.cause.replaceAll('_', ' ')), h('td', {class: 'number'}, say(failure.jobs)))), 'Causes'))))];
}

export async function show(view, {may}) {
  const again = async () => update(view, render(await read(), may));
  await again();
  return {event: calm(() => again().catch(() => {}), 500)};
}
