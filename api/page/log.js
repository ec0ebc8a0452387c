// A job's log as it grows, over its attempts: followed through an event stream of its own while it is open, with a search
// that shows only the lines that have the words. What cannot be read yet is asked for again until it can.
import {h} from './dom.js';
import {get, segment, text} from './api.js';
import {bytes} from './format.js';
import {line} from './ansi.js';
import {stream} from './stream.js';

const LINES_MAX = 20000; // in the document
const TAIL = 2000;
const AGAIN_MS = 3000;
const ALL = '*';
const CURRENT = ['client-current.log', 'slurm-current.log'];

// What a terminal would show of a line in which the cursor went back to its beginning.
function overwritten(words) {
  return words.replace(/^[^]*\r(?!$)/, '');
}

function lineNode(words, style) {
  return h('div', {}, line(overwritten(words), style), words === '' && '\u200b');
}

export function log(job) {
  const path = `jobs/${segment(job.id)}/logs`;
  const output = h('div', {class: 'log', tabindex: '0', role: 'log', 'aria-live': 'off', 'aria-label': `Log of ${job.task}`});
  const search = h('input', {type: 'search', class: 'log-search', placeholder: 'Search', 'aria-label': 'Search in the log', oninput: filter});
  const choice = h('select', {class: 'log-file', 'aria-label': 'Log file', onchange: () => (choice.value === ALL ? readAll() : follow(choice.value))});
  const found = h('span', {class: 'soft small', role: 'status'});
  const said = h('span', {class: 'soft small', role: 'status'});
  let source = null;
  let style = new Set();
  let rest = ''; // of a line whose end is to come
  let begun = null; // its node
  let file = null; // that is being read
  let readings = 0;
  let closed = false;
  let attempts = []; // the names of their logs, the first one first

  function wanted(node) {
    const words = search.value.toLowerCase();
    return !words || node.textContent.toLowerCase().includes(words);
  }
  function filter() {
    let lines = 0;
    for (const node of output.children) {
      const there = wanted(node);
      node.classList.toggle('off', !there);
      lines += there;
    }
    found.textContent = search.value ? `${lines} lines` : '';
  }
  function add(nodes) {
    const atEnd = output.scrollTop + output.clientHeight > output.scrollHeight - 40;
    begun?.remove();
    begun = null;
    output.append(...nodes);
    while (output.childElementCount > LINES_MAX) output.firstElementChild.remove();
    if (search.value) filter();
    if (atEnd) output.scrollTop = output.scrollHeight;
  }
  function take(text) {
    const lines = (rest + text).split('\n');
    rest = overwritten(lines.pop());
    const nodes = lines.map((words) => lineNode(words, style));
    const last = rest && lineNode(rest, new Set(style));
    add(last ? [...nodes, last] : nodes);
    begun = last || null;
  }
  // The last line of a file may lack its end: it stays.
  function endLine() {
    if (rest) take('\n');
    style = new Set();
  }
  function turn(words) {
    endLine();
    add([h('div', {class: 'turn'}, words)]);
  }
  function begin(behind = false) {
    source?.close();
    source = null;
    readings++;
    file = null;
    said.textContent = '';
    if (behind) {
      endLine();
      return;
    }
    rest = '';
    begun = null;
    style = new Set();
    output.replaceChildren();
  }
  function came(name, data) {
    if (name === 'message') {
      said.textContent = '';
      take(data.text ?? new TextDecoder().decode(Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0))));
    } else if (name === 'file' && file !== data.name) { // else it goes on where it was
      if (file) readList();
      file = data.name;
      turn(data.attempt ? `attempt ${data.attempt}: ${data.name}` : data.name);
    } else if (name === 'anew') {
      turn('the file begins anew');
    } else if (name === 'gap') {
      turn('bytes are left out here');
    } else if (name === 'end') {
      endLine();
      source.close();
      said.textContent = 'ended';
    }
  }
  function follow(name, behind = false) {
    if (closed) return;
    begin(behind);
    source = stream(`${path}/${segment(name)}`, {follow: 'true', tail: TAIL}, {
      open: () => { said.textContent = output.childElementCount ? '' : 'Nothing has come yet.'; },
      event: came,
      trouble: (error) => { said.textContent = `${error.status === 404 ? 'There is no log yet' : `The log cannot be read now (${error.message})`}; it is asked for every 3 s.`; },
    });
  }

  // What the ended attempts left, then the present one as it grows: a search goes over all of them.
  async function readAll() {
    begin();
    const mine = readings;
    for (const name of attempts.slice(0, -1)) {
      const lines = await text(`${path}/${segment(name)}`, {tail: TAIL}).catch((error) => error.message);
      if (closed || mine !== readings) return;
      turn(name);
      take(lines);
    }
    follow(CURRENT[0], true);
  }

  async function readList() {
    const items = await get(path).then((list) => list.items, () => null);
    if (closed) return;
    if (!items) {
      setTimeout(readList, AGAIN_MS);
      return;
    }
    attempts = items.map((one) => one.name).filter((name) => /^client-\d+\.log$/.test(name)).sort((a, b) => a.match(/\d+/)[0] - b.match(/\d+/)[0]);
    const chosen = choice.value;
    choice.replaceChildren(...CURRENT.map((name) => h('option', {value: name}, name)), ...(attempts.length > 1 ? [h('option', {value: ALL}, `all ${attempts.length} attempts`)] : []),
      ...items.map((one) => h('option', {value: one.name}, `${one.name} (${bytes(one.size)})`)));
    if ([...choice.options].some((option) => option.value === chosen)) choice.value = chosen;
  }

  choice.append(...CURRENT.map((name) => h('option', {value: name}, name)));
  follow(CURRENT[0]);
  readList();
  return {node: h('div', {class: 'inside'}, h('div', {class: 'row'}, choice, search, found, said), output), close: () => { closed = true; source?.close(); }};
}
