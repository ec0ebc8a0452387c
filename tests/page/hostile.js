// Put before the page's own scripts: each text of each reply is as an attacker would have it, but for times, ids and the
// service's own words for states. What the page then asks for by such a name is asked for by the true one.
(() => {
  const HURT = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>\'"><svg onload=window.hurt=1>';
  const LINK = 'javascript:window.hurt=1//';
  const OWN = new Set(['id', 'job', 'a_job', 'b_job', 'evaluation', 'reused_from', 'reuse_candidate', 'role', 'signed_in_by', 'state', 'health', 'verdict', 'outcome', 'form']);
  const LINKS = new Set(['url', 'issuer', 'a_sample', 'b_sample', 'path', 'container', 'value']);
  const HIDDEN = [encodeURIComponent(HURT), new URLSearchParams({x: HURT}).toString().slice(2), encodeURIComponent(LINK), new URLSearchParams({x: LINK}).toString().slice(2)];
  window.hostile = {text: HURT, link: LINK};
  const turned = (value, key) => {
    if (Array.isArray(value)) return value.map((one) => turned(one, key));
    if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, one]) => [key === 'labels' ? name + HURT : name, turned(one, name)]));
    if (typeof value !== 'string' || OWN.has(key) || /^\d{4}-\d\d-\d\dT/.test(value)) return value;
    return (LINKS.has(key) ? LINK : '') + value + HURT;
  };
  const ask = window.fetch;
  window.fetch = async (where, how) => {
    const reply = await ask(HIDDEN.reduce((address, hidden) => address.replaceAll(hidden, ''), String(where)), how);
    if (reply.status === 204) return reply;
    const body = await reply.text();
    const json = (reply.headers.get('Content-Type') ?? '').includes('json');
    return new Response(json ? JSON.stringify(turned(JSON.parse(body))) : body + HURT, {status: reply.status, headers: reply.headers});
  };
})();
