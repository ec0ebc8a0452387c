// All campaigns, newest first.
import {h, update} from './dom.js';
import {get} from './api.js';
import {time} from './format.js';
import {calm, empty, panel, state, table} from './parts.js';

const MOST = 200;

function row(campaign) {
  return h('tr', {'data-key': campaign.id}, h('td', {}, state(campaign.state)),
    h('td', {class: 'wrap'}, h('a', {href: `#/campaigns/${campaign.id}`}, campaign.name), campaign.reason && h('div', {class: 'soft small'}, campaign.reason)),
    h('td', {class: 'wrap mono small'}, campaign.parameter), h('td', {}, campaign.user), h('td', {class: 'number'}, time(campaign.created_at)));
}

export async function show(view) {
  const again = async () => {
    const {items, next} = await get('campaigns', {limit: MOST});
    update(view, h('h1', {}, 'Campaigns'), items.length
      ? panel(next ? `The newest ${MOST}` : 'One config over many values', table([['State'], ['Name'], ['Parameter'], ['Person'], ['Made', 'number']], items.map(row), 'Campaigns'))
      : h('section', {class: 'panel'}, empty('No campaign yet', 'nelctl campaign create runs one config over many values of a key, as the checkpoints of a training.')));
  };
  await again();
  const soon = calm(() => again().catch(() => {}), 1000);
  return {event: (event) => event.kind.startsWith('campaign.') && soon()};
}
