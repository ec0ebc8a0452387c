// Server-Sent Events that are read until they are closed. Unlike an EventSource it says why it was refused, asks again
// after a refusal, too, and comes back behind the last event even then, so that nothing is missed and nothing comes twice.
import {send} from './api.js';

const AGAIN_MS = 3000;

// calls: open() as the reply begins, event(name, data), trouble(error) while it cannot be read. Gives back {close()}.
export function stream(path, query, calls) {
  const stop = new AbortController();
  let last = '';

  function take(block) {
    let name = 'message';
    const data = [];
    let id = null;
    for (const words of block.split('\n')) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(words);
      if (field === 'event') name = value;
      else if (field === 'id') id = value;
      else if (field === 'data') data.push(value);
    }
    last = id ?? last;
    if (data.length && !stop.signal.aborted) calls.event(name, JSON.parse(data.join('\n')));
  }

  async function read() {
    const headers = {Accept: 'text/event-stream', ...(last && {'Last-Event-ID': last})};
    const reply = await send('GET', path, {query, headers, signal: stop.signal});
    calls.open();
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const blocks = (rest + part.value).split('\n\n');
      rest = blocks.pop();
      blocks.forEach(take);
    }
  }

  (async () => {
    while (!stop.signal.aborted) {
      await read().catch((error) => {
        if (stop.signal.aborted) return;
        if ([400, 416].includes(error.status)) last = ''; // what was read is there no more
        calls.trouble(error);
      });
      await new Promise((go) => setTimeout(go, AGAIN_MS));
    }
  })();
  return {close: () => stop.abort()};
}
