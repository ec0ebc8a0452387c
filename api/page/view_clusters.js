// Whether each cluster can be worked with, and what it lacks (the preflight).
import {h, update} from './dom.js';
import {get, post, segment} from './api.js';
import {duration, time} from './format.js';
import {calm, empty, free, panel, problem, state, table} from './parts.js';

const AGAIN_MS = 10000;
const PLACES = 20; // that are shown
const PAGES_MAX = 10; // of what is queued
const PAGE = 500;

function facts(pairs) {
  return h('dl', {class: 'facts'}, pairs.filter(([, value]) => value !== null).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

// All that has a place in a queue, on whatever cluster: the places are not in the order in which jobs were made.
async function readQueued() {
  const jobs = [];
  for (const state of ['queued', 'resuming']) {
    let cursor = null;
    for (let page = 0; page === 0 || (cursor && page < PAGES_MAX); page++) {
      const {items, next} = await get('jobs', {state, limit: PAGE, cursor});
      jobs.push(...items);
      cursor = next;
    }
  }
  return jobs;
}

// The daemon's own queue, by places; what waits in Slurm's is behind it. `waiting` is an error where it could not be read.
function queue(waiting, cluster) {
  if (waiting instanceof Error) return h('div', {class: 'inside'}, h('div', {class: 'note wait'}, `The queue cannot be read now: ${waiting.message}`));
  const placed = waiting.filter((job) => job.cluster === cluster.name && job.queue?.position).sort((a, b) => a.queue.position - b.queue.position);
  if (!placed.length) return null;
  return table([['Place', 'number'], ['Job'], ['Person']], placed.slice(0, PLACES).map((job) => h('tr', {'data-key': job.id},
    h('td', {class: 'number'}, `${job.queue.position} of ${job.queue.of}`),
    h('td', {class: 'wrap'}, h('a', {href: `#/evaluations/${job.evaluation}`}, job.task), h('div', {class: 'soft small'}, job.waiting_on ?? '')), h('td', {class: 'wrap'}, job.user))), 'Queue');
}

function checks(report) {
  return report.checks.map((check) => h('div', {class: check.ok === false ? 'note bad' : 'note'},
    h('span', {}, check.ok ? '✓ ' : check.ok === false ? '✕ ' : '? ', h('b', {}, check.name), ` ${check.message}`), check.hint && h('span', {}, check.hint)));
}

export async function show(view, {may}) {
  const reports = new Map();
  async function preflight(cluster) {
    reports.set(cluster.name, h('p', {class: 'soft'}, 'Asking the cluster …'));
    await again();
    reports.set(cluster.name, await post(`clusters/${segment(cluster.name)}/check`).then(checks, problem));
    await again();
  }
  const clusterPanel = (c, waiting) => panel(c.name, h('div', {}, h('div', {class: 'inside'},
    c.last_error && c.health === 'failing' && h('div', {class: 'note bad'}, c.last_error),
    c.credentials?.warnings?.map((words) => h('div', {class: 'note wait'}, words)),
    facts([['Host', `${c.hostname}:${c.port}`], ['Identity', c.identity ?? 'one a person'], ['Takes jobs', c.state === 'draining' ? 'no: draining' : 'yes'],
      ['Containers', c.containers], ['Sessions', `${c.sessions.busy} busy, ${c.sessions.open} open, at most ${c.sessions.max}`],
      ['Breaker', c.breaker.retry_in_s ? `${c.breaker.state}, again in ${duration(c.breaker.retry_in_s)}` : c.breaker.state],
      ['Free now', c.capacity ? h('span', {}, free(c), ' · counted ', time(c.capacity.counted_at)) : null], ['Waits for a session', `${c.queued}`], ['Last answer', time(c.last_ok_at)], ['Last look', time(c.observation.last_ok_at)],
      ['Accounting', c.observation.accounting_error]]),
    reports.get(c.name)), queue(waiting, c)), state(c.health), may('user') && h('button', {onclick: () => preflight(c), 'aria-label': `Preflight of ${c.name}`}, 'Preflight'));
  let known = null; // the clusters, as they were last read
  const again = async () => {
    const [clusters, waiting] = await Promise.all([get('clusters').then((list) => list.items, (error) => error), readQueued().catch((error) => error)]);
    const failed = clusters instanceof Error ? problem(clusters) : null;
    known = failed ? known : clusters;
    update(view, h('h1', {}, 'Clusters'), failed ?? [], known?.length ? h('div', {class: 'columns'}, known.map((c) => clusterPanel(c, waiting)))
      : known ? empty('No cluster', 'Name one in the settings: nel-slurmd.yaml(5).') : []);
  };
  await again();
  const timer = setInterval(again, AGAIN_MS);
  return {event: calm(again, 1000), close: () => clearInterval(timer)};
}
