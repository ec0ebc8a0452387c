// A config by paste or drop: errors at their line, a dry run, then the submission.
import {h, update} from './dom.js';
import {newKey, send} from './api.js';
import {count, duration} from './format.js';
import {panel, problem, table} from './parts.js';

const LINE_PX = 19.5;

function messages(items, kind, goTo) {
  return items.map((item) => h('div', {class: `note ${kind}`},
    item.line ? h('button', {onclick: () => goTo(item.line)}, `Line ${item.line}`) : item.pointer && h('code', {}, item.pointer), h('span', {}, item.message)));
}

// What runs like it have used, as the service knows it.
function expected(forecast) {
  return forecast && h('div', {class: 'note'}, `Runs like these used ${forecast.gpu_hours.p50.toFixed(1)} GPU hours (nine tenths of them at most ${forecast.gpu_hours.p90.toFixed(1)}), and ${duration(forecast.duration_s.p50)} (${duration(forecast.duration_s.p90)}).`);
}

// What one start of the servers for all tasks would save.
function saving(sharing) {
  return sharing && h('div', {class: 'note'}, `To save GPU hours: ${sharing.text}.`);
}

// With reuse: the equal job whose scores would be taken, if its checkpoint is still what it was.
function reusable({reuse_candidate}) {
  if (reuse_candidate === undefined) return null;
  return h('div', {class: 'soft small'}, reuse_candidate === null ? 'none to reuse: it would be run'
    : ['would reuse ', h('a', {href: `#/evaluations/${reuse_candidate.split('.')[0]}`}, reuse_candidate), ' if the checkpoint is unchanged']);
}

export async function show(view) {
  const lines = h('div', {class: 'lines', 'aria-hidden': 'true'});
  const area = h('textarea', {id: 'config', spellcheck: 'false', 'aria-label': 'Config', placeholder: 'Paste a config, or drop a YAML file here',
    oninput: () => { marks = {}; draw(); }, onscroll: () => { lines.scrollTop = area.scrollTop; }});
  const overrides = h('textarea', {rows: '2', placeholder: 'execution.walltime=01:00:00', spellcheck: 'false'});
  const reuse = h('input', {type: 'checkbox', id: 'reuse'});
  const out = h('div', {class: 'view', role: 'status'});
  let marks = {};
  let sent = {key: newKey(), what: ''};

  function draw() {
    const wanted = area.value.split('\n').length;
    lines.replaceChildren(...Array.from({length: wanted}, (_, i) => h('div', {class: marks[i + 1]}, i + 1)));
    lines.scrollTop = area.scrollTop;
  }
  function goTo(line) {
    const rows = area.value.split('\n');
    const begin = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0);
    area.focus();
    area.setSelectionRange(begin, begin + (rows[line - 1]?.length ?? 0));
    area.scrollTop = Math.max(0, (line - 5) * LINE_PX);
  }
  function mark(errors, warnings) {
    marks = {};
    for (const one of warnings) if (one.line) marks[one.line] = 'wait';
    for (const one of errors) if (one.line) marks[one.line] = 'bad';
    draw();
  }
  async function ask(dry) {
    if (!area.value.trim()) {
      update(out, problem(new Error('There is no config yet: paste one, or drop a file.')));
      area.focus();
      return;
    }
    const query = {override: overrides.value.split('\n').map((line) => line.trim()).filter(Boolean), ...(reuse.checked ? {reuse: 'true'} : {}), ...(dry ? {dry_run: 'true'} : {})};
    try {
      // The same config sent twice, by a second click or after a reply that was lost, is one submission.
      const what = JSON.stringify([area.value, query.override, reuse.checked]);
      if (!dry && sent.what !== what) sent = {key: newKey(), what};
      const headers = dry ? {} : {'Idempotency-Key': sent.key};
      const reply = await (await send('POST', 'evaluations', {query, body: area.value, type: 'application/yaml', headers})).json();
      mark([], reply.warnings);
      if (!dry) location.hash = `#/evaluations/${reply.id}`;
      else update(out, messages(reply.warnings, 'wait', goTo), expected(reply.forecast), saving(reply.sharing), panel(`Nothing was submitted: ${count(reply.jobs.length, 'job')} would be`, h('div', {},
        table([['Task'], ['Container'], ['Endpoint']], reply.jobs.map((job) => h('tr', {}, h('td', {class: 'wrap'}, job.task, reusable(job)), h('td', {class: 'wrap mono'}, job.container), h('td', {}, job.endpoint_type))), 'Jobs'),
        h('div', {class: 'inside'}, reply.jobs.slice(0, 20).map((job) => job.script && h('details', {}, h('summary', {}, `run.sub of ${job.task}`), h('pre', {class: 'log', tabindex: '0'}, job.script))))), h('span', {class: 'soft'}, reply.cluster ?? '')));
    } catch (error) {
      mark(error.errors ?? [], error.warnings ?? []);
      update(out, error.errors?.length ? messages(error.errors, 'bad', goTo) : problem(error), messages(error.warnings ?? [], 'wait', goTo));
    }
  }
  const editor = h('div', {class: 'editor',
    ondragover: (e) => { e.preventDefault(); editor.classList.add('drop'); },
    ondragleave: () => editor.classList.remove('drop'),
    ondrop: async (e) => {
      e.preventDefault();
      editor.classList.remove('drop');
      if (e.dataTransfer.files[0]) area.value = await e.dataTransfer.files[0].text();
      marks = {};
      draw();
    }}, lines, area);
  const file = h('input', {type: 'file', accept: '.yaml,.yml,.json', onchange: async () => { if (file.files[0]) area.value = await file.files[0].text(); marks = {}; draw(); }});
  view.append(h('h1', {}, 'Submit'), editor,
    h('div', {class: 'columns'}, h('label', {class: 'field'}, 'A file', file), h('label', {class: 'field'}, 'Overrides, one a line', overrides)),
    h('label', {}, reuse, ' Reuse: where scores of the same checkpoint and the same run are known, take them in place of GPU hours'),
    h('div', {class: 'row'}, h('button', {onclick: () => ask(true)}, 'Dry run'), h('button', {class: 'main', onclick: () => ask(false)}, 'Submit')), out);
  draw();
  return {};
}
