// One evaluation: each job's chain of attempts, how far it is, why it failed, what it scored; its config, scripts, logs
// and files.
import {h, update} from './dom.js';
import {address, get, post, segment, text} from './api.js';
import {bytes, count, duration, score, time} from './format.js';
import {bar, calm, confirm, empty, ended, labels, panel, problem, progress, state, table} from './parts.js';
import {attempts, timeline} from './attempts.js';
import {resolvedConfig} from './config.js';
import {log} from './log.js';

const JOBS_MAX = 200; // that are shown
const AT_ONCE = 8;

function budget({limit_s, used_s, remaining_s}) {
  if (limit_s === null) return h('span', {class: 'soft small'}, `${duration(used_s)} used, without a limit`);
  const words = `${duration(used_s)} of ${duration(limit_s)} used, ${duration(remaining_s)} left`;
  return h('div', {}, bar([[used_s / limit_s, remaining_s > 0 ? 'busy' : 'bad']], `Budget: ${words}`), h('span', {class: 'soft small'}, `Budget: ${words}`));
}

function done(progress) {
  return progress?.total > 0 && bar([[progress.requests / progress.total, 'busy']], finished(progress));
}

function failure(found) {
  return found && h('div', {class: 'note bad'},
    found.advice && h('b', {}, found.advice), found.lines.length > 0 && h('pre', {}, found.lines.join('\n')), found.log && h('span', {class: 'small'}, found.log));
}

function scores(items) {
  return items.length > 0 && table([['Metric'], ['Score', 'number'], ['95 % interval', 'number'], ['Samples', 'number']],
    items.map((item) => h('tr', {}, h('td', {class: 'wrap'}, `${item.task} ${item.metric}`, item.score !== item.metric && ` / ${item.score}`),
      h('td', {class: 'number'}, score(item.value)), h('td', {class: 'number soft'}, item.ci95 ? `${score(item.ci95[0])} to ${score(item.ci95[1])}` : '–'),
      h('td', {class: 'number soft'}, item.count ?? '–'))), 'Scores');
}

function finished({requests, total, eta_s}) {
  return (total === null ? count(requests, 'request') : `${requests.toLocaleString('en')} of ${count(total, 'request')}`) +
    (eta_s ? `, ${duration(eta_s)} left` : '');
}

function jobPart(job, act, show) {
  return h('article', {class: 'job', 'data-key': job.id},
    h('div', {class: 'head'}, h('div', {class: 'row'}, state(job.state), h('h3', {class: 'wrap'}, job.task),
      job.progress && h('span', {class: 'soft small'}, finished(job.progress))),
    h('div', {class: 'row'},
      ['Log', 'Files', 'run.sub'].map((what) => h('button', {onclick: () => show(job, what), 'aria-label': `${what} of ${job.task}`}, what)),
      act(job, `jobs/${segment(job.id)}`, job.task))),
    (job.waiting_on || job.reason) && h('p', {class: 'soft wrap'}, job.waiting_on ? `Waits for ${job.waiting_on}. ` : '', job.reason ?? ''),
    job.reused_from && h('p', {class: 'soft'}, 'The scores are those of ', h('a', {href: `#/evaluations/${job.reused_from.split('.')[0]}`}, job.reused_from), '.'),
    job.warnings.map((words) => h('div', {class: 'note wait'}, words)),
    !ended(job.state) && done(job.progress), failure(job.failure), timeline(job), budget(job.budget),
    job.attempts.length > 0 && attempts(job), scores(job.scores));
}

// All scores of the evaluation, by job.
async function readScores(id) {
  const found = new Map();
  let cursor = null;
  do {
    const page = await get('results', {evaluation: id, limit: 500, cursor});
    for (const item of page.items) found.set(item.job, [...(found.get(item.job) ?? []), item]);
    cursor = page.next;
  } while (cursor);
  return found;
}

// `known`: the jobs as they were read before; all but those in `changed` are taken from there. A few at a time: requests
// are limited by the second.
async function read(id, known = new Map(), changed = new Set()) {
  const evaluation = await get(`evaluations/${segment(id)}`);
  const scored = await readScores(id);
  const wanted = evaluation.jobs.slice(0, JOBS_MAX);
  const missing = wanted.filter((job) => !known.has(job.id) || changed.has(job.id));
  while (missing.length > 0)
    for (const job of await Promise.all(missing.splice(0, AT_ONCE).map((one) => get(`jobs/${segment(one.id)}`)))) known.set(job.id, job);
  return {evaluation, known, jobs: wanted.map((job) => ({...known.get(job.id), scores: scored.get(job.id) ?? []}))};
}

async function files(job) {
  const {items, truncated} = await get(`jobs/${segment(job.id)}/artifacts`);
  if (!items.length) return empty('No file yet');
  return h('div', {}, table([['File'], ['Size', 'number'], ['Changed', 'number']], items.slice(0, 2000).map((file) => h('tr', {},
    h('td', {class: 'wrap mono'}, h('a', {href: address(`jobs/${segment(job.id)}/artifacts/${file.path.split('/').map(segment).join('/')}`), download: file.path.split('/').pop()}, file.path)),
    h('td', {class: 'number'}, bytes(file.size)), h('td', {class: 'number'}, time(file.modified_at)))), 'Files'), truncated && h('p', {class: 'soft'}, 'There are more.'));
}

export async function show(view, {id, me, may}) {
  const below = h('div', {'data-keep': true});
  const said = h('div', {'data-keep': true});
  let opened = null;

  async function open(title, make) {
    opened?.close?.();
    opened = null;
    const body = h('div', {}, h('div', {class: 'empty'}, 'Reading …'));
    below.replaceChildren(panel(title, body, h('button', {onclick: () => { opened?.close?.(); opened = null; below.replaceChildren(); }}, 'Close')));
    below.scrollIntoView({block: 'nearest'});
    try {
      body.replaceChildren(await make());
    } catch (error) {
      body.replaceChildren(h('div', {class: 'inside'}, problem(error)));
    }
  }
  const pre = (words) => h('pre', {class: 'log', tabindex: '0'}, words);
  const showOf = (job, what) => open(`${what} of ${job.task}`, async () => {
    if (what === 'Files') return files(job);
    if (what === 'run.sub') return pre(await text(`jobs/${segment(job.id)}/script`));
    opened = log(job);
    return opened.node;
  });

  async function ask(path, verb, name) {
    const words = verb === 'cancel' ? 'Slurm ends what runs; it can be resumed later, with what is left of its budget.' : 'It goes on from where it was, with another attempt.';
    if (!await confirm(`${verb === 'cancel' ? 'Cancel' : 'Resume'} ${name}?`, words, verb === 'cancel' ? 'Cancel it' : 'Resume it')) return;
    said.replaceChildren();
    await post(`${path}/${verb}`).catch((error) => said.replaceChildren(problem(error)));
    again();
  }

  function render({evaluation, jobs}) {
    const mine = may('admin') || (may('user') && evaluation.user === me.user);
    const act = (thing, path, name) => mine && [
      !ended(thing.state) && thing.state !== 'cancelling' && h('button', {class: 'danger', onclick: () => ask(path, 'cancel', name), 'aria-label': `Cancel ${name}`}, 'Cancel'),
      ['failed', 'cancelled', 'budget_exhausted'].includes(thing.state) && h('button', {onclick: () => ask(path, 'resume', name), 'aria-label': `Resume ${name}`}, 'Resume')];
    const path = `evaluations/${segment(id)}`;
    const submitted = () => open('Config as submitted', async () => pre(await text(`${path}/config`)));
    const resolved = () => open('Config as resolved', () => resolvedConfig(`${path}/config`));
    return [
      h('div', {class: 'head'}, h('div', {}, h('h1', {}, evaluation.model),
        h('div', {class: 'row soft'}, state(evaluation.state), h('span', {}, `${evaluation.user} on ${evaluation.cluster}`), h('span', {}, 'submitted ', time(evaluation.created_at)), h('span', {class: 'mono small'}, evaluation.id), labels(evaluation.labels))),
      h('div', {class: 'row'}, h('button', {onclick: submitted}, 'Config'), h('button', {onclick: resolved}, 'Resolved'), act(evaluation, path, 'the evaluation'))),
      said, progress(evaluation.counts),
      evaluation.warnings.map((warning) => h('div', {class: 'note wait'}, warning.line && `line ${warning.line}: `, warning.message)),
      panel(count(evaluation.counts.total, 'job') + (evaluation.counts.total > JOBS_MAX ? `, the first ${JOBS_MAX}` : ''), h('div', {}, jobs.map((job) => jobPart(job, act, showOf)))),
      below];
  }

  const first = await read(id);
  let changed = new Set();
  const again = calm(async () => {
    const these = changed;
    changed = new Set();
    const now = await read(id, first.known, these).catch(() => null);
    if (now) update(view, render(now));
    else these.forEach((job) => changed.add(job));
  });
  update(view, render(first));
  return {
    event: (event) => {
      if (event.evaluation !== id) return;
      if (event.job) changed.add(event.job);
      again();
    },
    close: () => opened?.close?.(),
  };
}
