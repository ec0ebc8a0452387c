// A job's attempts on one line of time: hatched while Slurm had them wait, filled while they ran.
import {h} from './dom.js';
import {duration, time} from './format.js';
import {table} from './parts.js';

function colour(attempt) {
  if (!attempt.ended_at) return 'busy';
  if (attempt.slurm_state === 'COMPLETED') return attempt.exit_code ? 'bad' : 'good';
  return ['TIMEOUT', 'PREEMPTED', 'REQUEUED'].includes(attempt.slurm_state) ? 'wait' : attempt.slurm_state === 'CANCELLED' ? 'off' : 'bad';
}

function span(kind, from, to, begin, length, words) {
  return h('span', {class: kind, title: words, style: {left: `${(from - begin) / length * 100}%`, width: `${Math.max(0, to - from) / length * 100}%`}});
}

export function timeline(job) {
  const at = (iso) => (iso ? Date.parse(iso) : Date.now());
  const begin = at(job.created_at);
  const length = Math.max(1000, at(job.ended_at) - begin);
  const spans = job.attempts.flatMap((attempt) => {
    if (!attempt.submitted_at) return [];
    const waited = at(attempt.started_at ?? attempt.ended_at);
    return [span('queue', at(attempt.submitted_at), waited, begin, length, `attempt ${attempt.number} waited ${duration((waited - at(attempt.submitted_at)) / 1000)}`),
      attempt.started_at && span(colour(attempt), at(attempt.started_at), at(attempt.ended_at), begin, length,
        `attempt ${attempt.number} ran ${duration((at(attempt.ended_at) - at(attempt.started_at)) / 1000)}: ${attempt.slurm_state ?? 'running'}`)];
  });
  return h('div', {class: 'timeline'}, h('div', {class: 'track', role: 'img', 'aria-label': `${job.attempts.length} attempts in ${duration(length / 1000)}`}, spans),
    h('div', {class: 'row soft small'}, time(job.created_at), h('span', {}, `${duration(length / 1000)} in all`)));
}

export function attempts(job) {
  const waited = (a) => (a.submitted_at && a.started_at ? (Date.parse(a.started_at) - Date.parse(a.submitted_at)) / 1000 : null);
  return table([['#'], ['Slurm job'], ['State'], ['Exit', 'number'], ['Nodes'], ['Waited', 'number'], ['Ran', 'number'], ['Of', 'number']],
    job.attempts.map((a) => h('tr', {},
      h('td', {}, a.number), h('td', {class: 'mono'}, a.slurm_job_id ?? '–'), h('td', {class: 'wrap'}, a.slurm_state ?? '–', a.pending_reason && h('div', {class: 'soft small'}, a.pending_reason)),
      h('td', {class: 'number'}, a.exit_code ?? '–'), h('td', {class: 'wrap'}, a.nodes ?? '–'),
      h('td', {class: 'number'}, duration(waited(a))), h('td', {class: 'number'}, duration(a.elapsed_s)), h('td', {class: 'number'}, duration(a.time_limit_s)))),
    `Attempts of ${job.task}`);
}
