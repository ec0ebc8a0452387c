// No module: it is there first, and sees when a script or a style does not come, as when the network changes in the
// meantime. Without it such a page would stay empty.
addEventListener('error', ({target}) => {
  if (!(target instanceof Element) || !target.matches('script, link[rel=stylesheet]')) return;
  document.getElementById('page')?.replaceChildren('A part of this page has not come. It is loaded again in a few seconds.');
  setTimeout(() => location.reload(), 3000);
}, true);
