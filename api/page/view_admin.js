// People, and who did what.
import {h, update} from './dom.js';
import {get} from './api.js';
import {time} from './format.js';
import {empty, panel, problem, state, table} from './parts.js';
import {usage, usageTable} from './usage.js';

const DAYS = 30;

export async function show(view) {
  const [users, audit, people] = await Promise.all([get('users', {limit: 500}), get('audit', {limit: 200}), usage('user', DAYS).catch((error) => error)]);
  update(view, h('h1', {}, 'Admin'),
    panel('People', users.items.length ? table([['Name'], ['Role'], ['Since']], users.items.map((user) => h('tr', {}, h('td', {class: 'wrap'}, user.name, user.suspended && h('span', {class: 'soft'}, ' suspended')), h('td', {}, user.role), h('td', {}, time(user.created_at)))), 'People') : empty('Nobody', 'nel-slurmd user add NAME --role user')),
    panel(`GPU hours of the last ${DAYS} days, by person`, people instanceof Error ? h('div', {class: 'inside'}, problem(people)) : usageTable(people, 'Person', 'user')),
    panel('Audit', table([['When'], ['Who'], ['Did'], ['To'], ['Outcome'], ['Detail']], audit.items.map((row) => h('tr', {}, h('td', {}, time(row.last_at)), h('td', {class: 'wrap'}, row.actor), h('td', {}, row.action, row.count > 1 && ` × ${row.count}`),
      h('td', {class: 'wrap mono'}, row.target ?? '–'), h('td', {}, state(row.outcome)), h('td', {class: 'wrap soft'}, row.detail ?? ''))), 'Audit')));
  return {};
}
