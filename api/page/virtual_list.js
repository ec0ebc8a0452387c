// A list of any length of which only what is seen is in the document. Rows are as high as the first one.
import {h} from './dom.js';

const BEYOND = 8; // rows above and below what is seen

// row(item) makes a node; more() is called when the end comes near. Returns {node, set(items)}.
export function virtualList(name, row, more) {
  const space = h('div', {});
  const node = h('div', {class: 'list', tabindex: '0', role: 'region', 'aria-label': name, 'data-keep': true}, space);
  const made = new Map();
  let items = [];
  let height = 0;

  function draw() {
    if (!height && items.length) {
      const probe = space.appendChild(row(items[0]));
      height = probe.offsetHeight || 44;
      probe.remove();
    }
    space.style.setProperty('height', `${items.length * height}px`);
    const first = Math.max(0, Math.floor(node.scrollTop / (height || 1)) - BEYOND);
    const end = Math.min(items.length, Math.ceil((node.scrollTop + node.clientHeight) / (height || 1)) + BEYOND);
    const kept = new Set();
    for (let i = first; i < end; i++) {
      const item = items[i];
      kept.add(item.id);
      let there = made.get(item.id);
      if (!there || there.item !== item) {
        const fresh = row(item);
        const focused = there && there.node === document.activeElement;
        if (there) there.node.replaceWith(fresh);
        else space.append(fresh);
        if (focused) fresh.focus();
        made.set(item.id, there = {item, node: fresh});
      }
      there.node.style.setProperty('top', `${i * height}px`);
    }
    for (const [id, there] of made) {
      if (!kept.has(id) && there.node !== document.activeElement) {
        there.node.remove();
        made.delete(id);
      }
    }
    if (end + 200 > items.length) more();
  }

  let asked = 0;
  const soon = () => { asked ||= requestAnimationFrame(() => { asked = 0; draw(); }); };
  node.addEventListener('scroll', soon, {passive: true});
  const sizes = new ResizeObserver(() => { height = 0; soon(); });
  sizes.observe(node);
  return {
    node,
    close: () => sizes.disconnect(),
    // What is new at the top pushes what is read down; it is scrolled along, so that nothing jumps.
    set(fresh) {
      const before = items[0]?.id;
      const pushed = before === undefined ? 0 : fresh.findIndex((item) => item.id === before);
      items = fresh;
      if (pushed > 0 && node.scrollTop > 0) node.scrollTop += pushed * height;
      draw();
    },
  };
}
