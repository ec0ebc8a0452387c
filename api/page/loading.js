// No module: it is there first, and sees when a part of the page does not come, as when the network changes in the meantime.
// Without its scripts, which all come before anything is shown, the page would stay empty.
const AGAIN_MS = 3000;

addEventListener('error', ({target}) => {
  if (!(target instanceof Element)) return;
  if (target.matches('script[src^="page/"]')) {
    document.getElementById('page')?.replaceChildren('A part of this page has not come. It is loaded again in a few seconds.');
    setTimeout(() => location.reload(), AGAIN_MS);
  } else if (target.matches('link[rel=stylesheet][href^="page/"]')) {
    setTimeout(() => target.replaceWith(target.cloneNode()), AGAIN_MS);
  }
}, true);
