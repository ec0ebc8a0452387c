// One event stream a tab. It goes on behind the last event that was seen, over restarts of the service and breaks of the
// connection, so that nothing is missed: the browser sends Last-Event-ID itself while it tries, and `after` says it when
// the stream has to be opened anew.
import {address, get} from './api.js';

const KINDS = ['evaluation.submitted', 'evaluation.state', 'evaluation.ended', 'evaluation.placed', 'evaluation.adopted', 'job.state',
  'job.cancel_requested', 'job.resume_requested', 'job.export', 'job.warning', 'attempt.submitted', 'attempt.started',
  'attempt.ended', 'results.recorded', 'cluster.reachable', 'cluster.unreachable', 'identity.expiring',
  'campaign.value_found', 'campaign.regression', 'campaign.ended'];
const AGAIN_MS = 2000;

let source = null;
let timer = 0;
let last = null;
let listeners = {event: () => {}, state: () => {}, pruned: () => {}};

function came(message) {
  last = message.lastEventId || last;
  listeners.event(JSON.parse(message.data));
}

function open() {
  source = new EventSource(address('events', {stream: 'true', after: last}));
  source.onopen = () => listeners.state(true);
  source.onerror = () => {
    listeners.state(false);
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    timer = setTimeout(again, AGAIN_MS);
  };
  for (const kind of KINDS) source.addEventListener(kind, came);
  source.addEventListener('events.pruned', () => listeners.pruned());
}

// An event stream does not say why it was refused: whoami does, and api.js signs out where the session has ended.
async function again() {
  try {
    await get('whoami');
    if (source) open();
  } catch (error) {
    if (source && error.status !== 401) timer = setTimeout(again, AGAIN_MS);
  }
}

// Begins behind the event numbered `from`: views that read after it was asked for miss nothing.
export function start(calls, from) {
  listeners = {...listeners, ...calls};
  last = from;
  stop();
  open();
}

export function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
}
