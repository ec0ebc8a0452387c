// The service's public API, below wherever this page lies.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the service answered ${status}`);
    this.status = status;
    this.errors = body.errors ?? [];
    this.warnings = body.warnings ?? [];
  }
}

const base = new URL('v1/', document.baseURI);
let whenSignedOut = () => {};

export function onSignedOut(call) {
  whenSignedOut = call;
}

export function address(path, query = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== '') url.searchParams.append(name, one);
  }
  return url;
}

export async function send(method, path, {query, body, type, headers, signal} = {}) {
  const reply = await fetch(address(path, query), {
    method, signal, credentials: 'same-origin',
    headers: {...headers, ...(body === undefined ? {} : {'Content-Type': type ?? 'application/json'})},
    body: body === undefined ? undefined : type ? body : JSON.stringify(body),
  });
  if (reply.ok) return reply;
  const problem = new Problem(reply.status, await reply.json().catch(() => ({})));
  if (reply.status === 401 && path !== 'session') whenSignedOut();
  throw problem;
}

export async function get(path, query, signal) {
  return (await send('GET', path, {query, signal})).json();
}

export async function text(path, query, signal) {
  return (await send('GET', path, {query, signal})).text();
}

export function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

export async function post(path, body = {}, query) {
  const reply = await send('POST', path, {body, query, headers: {'Idempotency-Key': newKey()}});
  return reply.status === 204 ? null : reply.json();
}

export const segment = encodeURIComponent;
