// Colours of terminals: SGR sequences become classes (ECMA-48, 8.3.117), other sequences are left out. A class here is a
// number of ours, never text from the log.
import {h} from './dom.js';

const SEQUENCE = /\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f]/g;

function shown(code) {
  return (code >= 1 && code <= 4) || (code >= 30 && code <= 37) || (code >= 90 && code <= 97);
}

function change(style, codes) {
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) style.clear();
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4;
    else if (code === 39) for (const one of [...style]) if (one >= 30) style.delete(one);
    else if (code === 22) { style.delete(1); style.delete(2); }
    if (shown(code)) {
      if (code >= 30) for (const one of [...style]) if (one >= 30) style.delete(one);
      style.add(code);
    }
  }
}

// style: a Set that goes from line to line.
export function line(text, style) {
  const nodes = [];
  let begin = 0;
  const piece = (end) => {
    if (end <= begin) return;
    const words = text.slice(begin, end);
    nodes.push(style.size ? h('span', {class: [...style].map((code) => `a${code}`).join(' ')}, words) : words);
  };
  for (const found of text.matchAll(SEQUENCE)) {
    piece(found.index);
    begin = found.index + found[0].length;
    if (found[1] !== undefined) change(style, (found[1] || '0').split(';').map(Number));
  }
  piece(text.length);
  return nodes;
}
