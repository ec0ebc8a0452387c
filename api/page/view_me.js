// What is one's own: tokens, names of secrets, keys to paste, webhooks.
import {h, update} from './dom.js';
import {get, send, segment} from './api.js';
import {time} from './format.js';
import {confirm, empty, panel, problem, table} from './parts.js';
import {usage, usageTable} from './usage.js';

const DAYS = 30;

export async function show(view, {me, may}) {
  const said = h('div', {'data-keep': true});
  async function remove(path, question) {
    if (!await confirm(question, 'This cannot be taken back.', 'Do it')) return;
    await send('DELETE', path).catch((error) => said.replaceChildren(problem(error)));
    await again();
  }
  const tokenRow = (token) => h('tr', {}, h('td', {class: 'wrap'}, token.label || `token ${token.id}`), h('td', {}, token.role), h('td', {}, time(token.last_used_at)), h('td', {}, time(token.expires_at)),
    h('td', {class: 'number'}, may('user') && h('button', {class: 'danger', onclick: () => remove(`tokens/${token.id}`, `Revoke ${token.label || `token ${token.id}`}?`), 'aria-label': `Revoke token ${token.id}`}, 'Revoke')));
  const secretRow = (secret) => h('tr', {}, h('td', {class: 'wrap mono'}, secret.name), h('td', {}, secret.scope), h('td', {}, time(secret.updated_at)));
  const webhookRow = (hook) => h('tr', {}, h('td', {class: 'wrap'}, hook.url), h('td', {}, hook.state), h('td', {class: 'wrap soft'}, hook.disabled_reason ?? ''));
  const again = async () => {
    const [tokens, secrets, identities, hooks, spent] = await Promise.all([get('tokens', {user: me.user, limit: 200}), get('secrets'), get('identities'), may('user') ? get('webhooks') : {items: []}, usage('user,model', DAYS).catch((error) => error)]);
    const active = tokens.items.filter((token) => token.state === 'active');
    update(view, h('div', {class: 'head'}, h('h1', {}, me.user), h('span', {class: 'soft'}, me.role)), said,
      panel(`GPU hours of the last ${DAYS} days`, spent instanceof Error ? h('div', {class: 'inside'}, problem(spent)) : usageTable(spent.filter((row) => row.user === me.user), 'Model', 'model')),
      panel('Tokens', active.length ? table([['Token'], ['Role'], ['Used'], ['Expires'], [h('span', {class: 'unseen'}, 'Actions')]], active.map(tokenRow), 'Tokens') : empty('No token', 'nelctl token create makes one.')),
      panel('Secrets', secrets.items.length ? table([['Name'], ['Of'], ['Changed']], secrets.items.map(secretRow), 'Secrets') : empty('No secret', 'nelctl secret put NAME stores one; its value is never shown.')),
      panel('Keys on clusters', identities.items.length ? h('div', {class: 'inside'}, identities.items.map((one) => h('div', {class: 'note'}, h('b', {}, `${one.cluster}: ${one.state}`), one.error && h('span', {}, one.error), h('span', {}, one.instructions), h('pre', {}, one.authorized_keys)))) : empty('No key', 'A key is made where a cluster has identity: per_user.')),
      panel('Webhooks', hooks.items.length ? table([['Address'], ['State'], ['Why']], hooks.items.map(webhookRow), 'Webhooks') : empty('No webhook', 'POST /v1/webhooks makes one.')));
  };
  await again();
  return {};
}
