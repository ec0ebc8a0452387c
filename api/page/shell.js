// Signing in and out, the navigation, and the one view that is shown. Views get a context and give back
// {event(e), close()}, both optional.
import {h, update} from './dom.js';
import {get, send, onSignedOut} from './api.js';
import {tick} from './format.js';
import {problem} from './parts.js';
import * as live from './live.js';

const RANKS = ['viewer', 'user', 'admin'];
const TICK_MS = 10000;
const AGAIN_MS = 3000;

const page = document.getElementById('page');
let routes = [];
let me = null;
let shown = null;
let early = []; // events that came while the view was loading
let turn = 0;
let main = null;
let link = null; // the code of one that signs in once, until it did or was refused
let refused = null; // why it was

export function may(role) {
  return RANKS.indexOf(me.role) >= RANKS.indexOf(role);
}

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  return {path: path.split('/').map(decodeURIComponent), query: new URLSearchParams(query)};
}

function match({path}) {
  for (const route of routes) {
    const words = route.path.split('/');
    if (words.length !== path.length) continue;
    const params = {};
    if (words.every((word, i) => (word[0] === ':' ? (params[word.slice(1)] = path[i]) : word === path[i]) || word === path[i])) return {route, params};
  }
  return null;
}

function navigation(current) {
  const offered = routes.filter((route) => route.title && (!route.role || may(route.role)));
  return h('ul', {}, offered.map((route) => h('li', {},
    h('a', {href: `#/${route.path}`, 'aria-current': current && (route === current || route.path === current.under) && 'page'}, route.title))));
}

function frame() {
  const side = h('nav', {class: 'side', 'aria-label': 'Views'},
    h('a', {class: 'brand', href: '#/'}, h('img', {src: 'page/icon.svg', alt: ''}), 'nel-slurmd'),
    h('div', {id: 'navigation'}),
    h('div', {class: 'who'},
      h('span', {id: 'link-state', class: 'link-state', role: 'status'}, 'live'),
      h('span', {}, me.user, h('span', {class: 'soft'}, ` · ${me.role}`)),
      me.signed_in_by === 'token' && h('div', {}, h('button', {onclick: signOut}, 'Sign out'))));
  main = h('main', {id: 'main', tabindex: '-1'});
  page.replaceChildren(h('a', {class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); }}, 'To the content'),
    h('div', {class: 'frame'}, side, main));
}

async function show() {
  const mine = ++turn;
  const where = place();
  const found = match(where);
  shown?.close?.();
  shown = null;
  early = [];
  update(document.getElementById('navigation'), navigation(found?.route));
  document.querySelector('#navigation [aria-current]')?.scrollIntoView({block: 'nearest', inline: 'nearest'});
  const view = h('div', {class: 'view'});
  main.replaceChildren(view);
  window.scrollTo(0, 0);
  const forbidden = found?.route.role && !may(found.route.role);
  if (!found || forbidden) {
    view.append(h('h1', {}, forbidden ? `${found.route.title} is for the role ${found.route.role}` : 'There is no such view'), h('p', {}, h('a', {href: '#/'}, 'Overview')));
    return;
  }
  const title = found.route.title ?? found.params.id ?? found.route.path;
  document.title = `${title} – nel-slurmd`;
  try {
    const made = await found.route.view.show(view, {...found.params, query: where.query, me, may, again: show});
    if (mine !== turn) {
      made?.close?.();
      return;
    }
    shown = made ?? {};
    for (const event of early.splice(0)) shown.event?.(event);
  } catch (error) {
    if (mine === turn) view.replaceChildren(h('h1', {}, title), problem(error));
  }
}

function linkState(connected) {
  const node = document.getElementById('link-state');
  if (!node) return;
  node.classList.toggle('lost', !connected);
  const text = connected ? 'live' : 'reconnecting';
  if (node.textContent !== text) node.textContent = text;
}

async function signOut() {
  await send('DELETE', 'session').catch(() => {});
  signedOut();
}

function signedOut() {
  if (!me) return;
  me = null;
  turn++;
  live.stop();
  shown?.close?.();
  shown = null;
  signIn();
}

async function signIn() {
  document.title = 'Sign in – nel-slurmd';
  const said = h('div', {role: 'alert'}, refused && problem(refused));
  refused = null;
  const token = h('input', {type: 'password', autocomplete: 'off', required: true, id: 'token', spellcheck: 'false'});
  const submit = async (event) => {
    event.preventDefault();
    try {
      await send('POST', 'session', {body: {token: token.value.trim()}});
      token.value = '';
      await enter();
    } catch (error) {
      said.replaceChildren(problem(error));
      token.focus();
    }
  };
  const issuer = h('p', {class: 'soft small'});
  page.replaceChildren(h('main', {class: 'signin'},
    h('h1', {}, 'Sign in to nel-slurmd'),
    h('form', {class: 'view', onsubmit: submit},
      h('label', {class: 'field'}, 'Token', token),
      said,
      h('div', {}, h('button', {class: 'main', type: 'submit'}, 'Sign in'))),
    h('p', {class: 'soft small'}, 'An admin gives you a token: nel-slurmd user add. With one, nelctl page makes a link that signs in once. The token is kept in no place that scripts of this page can read; the session ends after 12 hours.'),
    issuer));
  token.focus();
  const {oidc} = await get('login').catch(() => ({oidc: null}));
  if (oidc) issuer.append('People of ', h('a', {href: /^https?:/.test(oidc.issuer) ? oidc.issuer : '#/', rel: 'noreferrer'}, oidc.issuer), ` may sign in with its ${oidc.token === 'id_token' ? 'ID token' : 'access token'}, too.`);
}

async function enter() {
  me = await get('whoami');
  const {last} = await get('events', {limit: 1});
  frame();
  live.start({event: (event) => (shown ? shown.event?.(event) : early.push(event)), state: linkState, pruned: show}, last);
  await show();
}

// With a link that signs in once, unless somebody is signed in: a link from elsewhere makes him nobody else.
async function enterByLink() {
  try {
    await enter();
  } catch (error) {
    if (error.status !== 401 || !link) throw error;
    await send('POST', 'session', {body: {code: link}});
    link = null;
    await enter();
  }
}

// A service that is away, or busy, is asked again.
async function begin() {
  try {
    await enterByLink();
  } catch (error) {
    const again = error instanceof TypeError || error.status === 429 || error.status >= 500; // the first: no answer came
    if (!again && (link || error.status === 401)) {
      refused = link && error;
      link = null;
      signIn();
      return;
    }
    page.replaceChildren(h('main', {class: 'signin'}, h('h1', {}, 'nel-slurmd'), problem(error),
      again && h('p', {class: 'soft small'}, 'The service is asked again every few seconds.')));
    if (again) setTimeout(begin, AGAIN_MS);
  }
}

// The code of a link leaves the address, and with it the history, before anything is asked.
function takeLink() {
  link = /^#\/sign-in\/([0-9A-Za-z]+)$/.exec(location.hash)?.[1];
  if (link) history.replaceState(null, '', '#/');
}

export async function start(table) {
  routes = table;
  takeLink();
  onSignedOut(signedOut);
  addEventListener('hashchange', () => (location.hash.startsWith('#/sign-in/') ? location.reload() : me && show()));
  addEventListener('pagehide', live.stop);
  addEventListener('pageshow', (event) => event.persisted && location.reload());
  setInterval(tick, TICK_MS);
  await begin();
}
