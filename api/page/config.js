// A resolved config as text, in which what nobody wrote (a config group's values, the service's own) is softer.
import {get} from './api.js';
import {h} from './dom.js';

const INDENT = '  ';
const escaped = (key) => key.replaceAll('~', '~0').replaceAll('/', '~1');

// Appends [text, soft] for the value at that JSON pointer.
function write(out, value, pointer, soft, defaulted, before) {
  const its = soft || defaulted.has(pointer);
  const inner = before + INDENT;
  const keys = value !== null && typeof value === 'object' ? Object.keys(value) : [];
  if (keys.length === 0) return out.push([JSON.stringify(value), its]);
  const list = Array.isArray(value);
  out.push([list ? '[\n' : '{\n', its]);
  keys.forEach((key, at) => {
    const deeper = `${pointer}/${escaped(key)}`;
    out.push([`${inner}${list ? '' : `${JSON.stringify(key)}: `}`, its || defaulted.has(deeper)]);
    write(out, value[key], deeper, its, defaulted, inner);
    out.push([at < keys.length - 1 ? ',\n' : '\n', its]);
  });
  return out.push([`${before}${list ? ']' : '}'}`, its]);
}

export async function resolvedConfig(path) {
  const [config, {items}] = await Promise.all([get(path, {form: 'resolved'}), get(path, {form: 'defaulted'})]);
  const parts = [];
  write(parts, config, '', false, new Set(items), '');
  return h('div', {},
    h('p', {class: 'inside soft'}, items.length ? 'Softer: what neither the config nor an override says.' : 'The config and its overrides say all of it.'),
    h('pre', {class: 'log', tabindex: '0'}, parts.map(([text, soft]) => soft ? h('span', {class: 'soft'}, text) : text)));
}
