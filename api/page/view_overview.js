// How things stand: what runs and waits and why, what ended today, whether the clusters are well.
import {h, update} from './dom.js';
import {get} from './api.js';
import {time, count} from './format.js';
import {calm, empty, panel, progress, state, table} from './parts.js';

const MOST = 100;

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
      h('div', {class: 'soft small'}, cluster.health === 'failing' ? cluster.last_error ?? '' : `${cluster.queued} in the queue, ${cluster.sessions.busy} of ${cluster.sessions.max} sessions busy`)),
    h('td', {class: 'number'}, time(cluster.last_ok_at)));
}

function list(name, rows, nothing) {
  const columns = [['State'], ['What'], ['Since', 'number']];
  return rows.length ? table(columns, rows, name) : nothing;
}

function figure(number, more, words, href) {
  return h('a', {href}, h('b', {}, `${number}${more ? '+' : ''}`), h('span', {}, words));
}

async function read() {
  const since = new Date();
  since.setHours(0, 0, 0, 0);
  const [running, pending, queued, ended, recent, clusters] = await Promise.all([
    get('jobs', {state: 'running', limit: MOST}), get('jobs', {state: 'pending', limit: MOST}), get('jobs', {state: 'queued', limit: MOST}),
    get('evaluations', {since: since.toISOString(), limit: 500}), get('evaluations', {limit: 8}), get('clusters')]);
  return {running, waiting: {items: [...pending.items, ...queued.items], next: pending.next || queued.next}, ended, recent, clusters: clusters.items};
}

function render({running, waiting, ended, recent, clusters}, may) {
  const failed = ended.items.filter((e) => e.state === 'failed').length;
  const done = ended.items.filter((e) => e.state === 'succeeded').length;
  const sick = clusters.filter((c) => c.health === 'failing').length;
  return [h('h1', {}, 'Overview'),
    h('div', {class: 'figures'},
      figure(running.items.length, running.next, 'jobs running', '#/evaluations?state=running'),
      figure(waiting.items.length, waiting.next, 'jobs waiting', '#/evaluations?state=queued'),
      figure(done, ended.next, "of today's evaluations succeeded", '#/evaluations?state=succeeded'),
      figure(failed, ended.next, "of today's evaluations failed", '#/evaluations?state=failed'),
      figure(`${clusters.length - sick} / ${clusters.length}`, false, 'clusters without trouble', '#/clusters')),
    h('div', {class: 'columns'},
      panel('Running', list('Running', running.items.slice(0, 12).map(jobRow), empty('Nothing runs now'))),
      panel('Waiting', list('Waiting', waiting.items.slice(0, 12).map(jobRow), empty('Nothing waits')))),
    h('div', {class: 'columns'},
      panel('Newest evaluations', list('Newest evaluations', recent.items.map(evaluationRow),
        empty('No evaluation yet', may('user') ? h('a', {href: '#/submit'}, 'Submit the first one') : 'Somebody with the role user submits the first one.')),
      h('a', {href: '#/evaluations'}, 'All')),
      panel('Clusters', list('Clusters', clusters.map(clusterRow), empty('No cluster', 'Name one in the settings: nel-slurmd.yaml(5).'))))];
}

export async function show(view, {may}) {
  const again = async () => update(view, render(await read(), may));
  await again();
  return {event: calm(() => again().catch(() => {}), 500)};
}
