// A resolved config as text, in which what nobody wrote (a config group's values, the service's own) is softer. Numbers stand
// there as the service wrote them, and keys in its order: as JavaScript's own, 1.0 would be 1, and a long integer another one.
import {get, text} from './api.js';
import {h} from './dom.js';

const INDENT = '  ';
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const escaped = (key) => key.replaceAll('~', '~0').replaceAll('/', '~1');

// The next value of the tokens of a JSON text: {words} or {open, close, entries: [[key or null, value]]}.
function value(tokens) {
  const words = tokens.next();
  if (words !== '{' && words !== '[') return {words: words[0] === '"' ? JSON.stringify(JSON.parse(words)) : words};
  const close = words === '{' ? '}' : ']';
  const entries = [];
  for (;;) {
    let key = null;
    if (tokens.peek() === ',') tokens.next();
    if (tokens.peek() === close) break;
    if (words === '{') {
      key = JSON.parse(tokens.next());
      tokens.next(); // the colon
    }
    entries.push([key, value(tokens)]);
  }
  tokens.next();
  return {open: words, close, entries};
}

export function parsed(json) {
  JSON.parse(json); // throws where it is none
  const words = json.match(TOKEN);
  let at = 0;
  return value({next: () => words[at++], peek: () => words[at]});
}

// Appends [text, soft] for the value at that JSON pointer.
function write(out, item, pointer, soft, defaulted, before) {
  const its = soft || defaulted.has(pointer);
  const inner = before + INDENT;
  if (item.words) return out.push([item.words, its]);
  if (!item.entries.length) return out.push([item.open + item.close, its]);
  out.push([`${item.open}\n`, its]);
  item.entries.forEach(([key, one], at) => {
    const deeper = `${pointer}/${escaped(key ?? String(at))}`;
    out.push([`${inner}${key === null ? '' : `${JSON.stringify(key)}: `}`, its || defaulted.has(deeper)]);
    write(out, one, deeper, its, defaulted, inner);
    out.push([at < item.entries.length - 1 ? ',\n' : '\n', its]);
  });
  return out.push([`${before}${item.close}`, its]);
}

export async function resolvedConfig(path) {
  const [json, {items}] = await Promise.all([text(path, {form: 'resolved'}), get(path, {form: 'defaulted'})]);
  const parts = [];
  write(parts, parsed(json), '', false, new Set(items), '');
  return h('div', {},
    h('p', {class: 'inside soft'}, items.length ? 'Softer: what neither the config nor an override says.' : 'The config and its overrides say all of it.'),
    h('pre', {class: 'log', tabindex: '0'}, parts.map(([words, soft]) => soft ? h('span', {class: 'soft'}, words) : words)));
}
