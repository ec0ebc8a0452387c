// A job's log as it grows, over its attempts: followed through an event stream of its own while it is open, with a search
// that shows only the lines that have the words.
import {h} from './dom.js';
import {address, get, segment, text} from './api.js';
import {empty, problem} from './parts.js';
import {bytes} from './format.js';
import {line} from './ansi.js';

const LINES_MAX = 20000; // in the document
const TAIL = 2000;
const ALL = '*';

export function log(job) {
  const output = h('div', {class: 'log', tabindex: '0', role: 'log', 'aria-live': 'off', 'aria-label': `Log of ${job.task}`});
  const search = h('input', {type: 'search', placeholder: 'Search', 'aria-label': 'Search in the log', oninput: filter});
  const choice = h('select', {'aria-label': 'Log file', onchange: () => (choice.value === ALL ? readAll(attempts) : follow(choice.value))});
  const said = h('span', {class: 'soft small', role: 'status'});
  let source = null;
  let style = new Set();
  let rest = '';
  let closed = false;
  let attempts = []; // their logs, the first one first

  function wanted(node) {
    const words = search.value.toLowerCase();
    return !words || node.textContent.toLowerCase().includes(words);
  }
  function filter() {
    let found = 0;
    for (const node of output.children) {
      const there = wanted(node);
      node.classList.toggle('off', !there);
      found += there;
    }
    said.textContent = search.value ? `${found} lines` : '';
  }
  function add(nodes) {
    const atEnd = output.scrollTop + output.clientHeight > output.scrollHeight - 40;
    for (const node of nodes) if (!wanted(node)) node.classList.add('off');
    output.append(...nodes);
    while (output.childElementCount > LINES_MAX) output.firstElementChild.remove();
    if (atEnd) output.scrollTop = output.scrollHeight;
  }
  function take(text) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    add(lines.map((words) => h('div', {}, line(words.replace(/^.*\r(?!$)/, ''), style), words === '' && '\u200b')));
  }
  function turn(words) {
    if (rest) take('\n');
    add([h('div', {class: 'turn'}, words)]);
  }
  function follow(name, behind = false) {
    if (closed) return;
    source?.close();
    if (!behind) output.replaceChildren();
    style = new Set();
    rest = '';
    source = new EventSource(address(`jobs/${segment(job.id)}/logs/${segment(name)}`, {follow: 'true', tail: TAIL}));
    source.onmessage = (message) => {
      const data = JSON.parse(message.data);
      take(data.text ?? new TextDecoder().decode(Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0))));
    };
    source.addEventListener('file', (message) => { const data = JSON.parse(message.data); turn(`attempt ${data.attempt}: ${data.name}`); });
    source.addEventListener('anew', () => turn('the file begins anew'));
    source.addEventListener('gap', () => turn('bytes are left out here'));
    source.addEventListener('end', () => { if (rest) take('\n'); source.close(); said.textContent = 'ended'; });
    source.onerror = () => { if (source.readyState === EventSource.CLOSED && !output.childElementCount) output.append(h('div', {class: 'soft'}, 'The log cannot be read now.')); };
  }

  // What the ended attempts left, then the present one as it grows: a search goes over all of them.
  async function readAll(names) {
    source?.close();
    output.replaceChildren();
    style = new Set();
    rest = '';
    for (const [i, name] of names.entries()) {
      if (i === names.length - 1) {
        follow(name, true);
        return;
      }
      const lines = await text(`jobs/${segment(job.id)}/logs/${segment(name)}`, {tail: TAIL}).catch((error) => `${error.message}\n`);
      if (closed || choice.value !== ALL) return;
      turn(name);
      take(lines);
    }
  }

  const node = h('div', {class: 'inside'}, h('div', {class: 'row'}, choice, search, said), output);
  (async () => {
    try {
      const {items} = await get(`jobs/${segment(job.id)}/logs`);
      const names = ['client-current.log', 'slurm-current.log'];
      attempts = items.map((file) => file.name).filter((name) => /^client-\d+\.log$/.test(name)).sort((a, b) => a.match(/\d+/)[0] - b.match(/\d+/)[0]);
      choice.append(...names.map((name) => h('option', {value: name}, name)), ...(attempts.length > 1 ? [h('option', {value: ALL}, `all ${attempts.length} attempts`)] : []),
        ...items.map((file) => h('option', {value: file.name}, `${file.name} (${bytes(file.size)})`)));
      follow(names[0]);
    } catch (error) {
      node.replaceChildren(error.status === 404 ? empty('There is no log yet') : problem(error));
    }
  })();
  return {node, close: () => { closed = true; source?.close(); }};
}
