// Nodes from words. Text is always text: nothing here, and nothing in the views, makes markup of a string.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) listen(node, name.slice(2), value);
    else if (name === 'style') for (const [key, size] of Object.entries(value)) node.style.setProperty(key, size);
    else if (name === 'value') node.value = value;
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Kept beside the node, so that morph() can give an old node the new listener.
function listen(node, type, listener) {
  if (!node.listeners) node.listeners = {};
  if (!(type in node.listeners)) node.addEventListener(type, (event) => node.listeners[type]?.(event));
  node.listeners[type] = listener;
}

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function same(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.id === b.id &&
    (a.dataset?.key ?? '') === (b.dataset?.key ?? '');
}

// Makes `old` look as `fresh` and keeps the nodes that are alike: focus, selection and scroll stay where they are. What has
// data-keep is a view's own, and is left alone.
function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.hasAttribute('data-keep')) return;
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) {
    if (name === 'style') old.style.cssText = fresh.style.cssText;
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const type of Object.keys(old.listeners ?? {})) if (!fresh.listeners?.[type]) old.listeners[type] = null;
  for (const [type, listener] of Object.entries(fresh.listeners ?? {})) listen(old, type, listener);
  children(old, [...fresh.childNodes]);
}

function children(old, fresh) {
  fresh.forEach((node, index) => {
    const there = old.childNodes[index];
    if (!there) old.append(node);
    else if (same(there, node)) morph(there, node);
    else old.insertBefore(node, there);
  });
  while (old.childNodes.length > fresh.length) old.lastChild.remove();
}

export function update(place, ...nodes) {
  children(place, nodes.flat(9).filter(Boolean));
}
