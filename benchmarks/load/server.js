// A JSON API with the endpoints, headers and body sizes of an ordinary Express service, without dependencies.
// Bodies depend on the id alone, so that one id always gives the same strings and two ids never do.
// usage: node server.js ADDRESS PORT; SIGTERM prints {"answered": N} and ends.
'use strict';
const crypto = require('node:crypto');
const http = require('node:http');

const [address, port] = [process.argv[2], Number(process.argv[3])];
const GIVEN = ['Ada', 'Bjørn', 'Chloé', 'Dmitri', 'Esra', 'Farah', 'Grace', 'Hiro', 'Ines', 'Jürgen', 'Kofi', 'Łukasz',
  'Mei', 'Nadia', 'Omar', 'Priya'];
const FAMILY = ['Abbott', 'Bianchi', 'Castro', 'Dietrich', 'Eriksen', 'Fofanah', 'Goldberg', 'Hashimoto', 'Ivanova',
  'Jensen', 'Kowalski', 'Lindqvist', 'Moreau', 'Nakamura', 'Okafor', 'Petrov'];
const WORDS = ['amber', 'basin', 'cobalt', 'drift', 'ember', 'fathom', 'glacier', 'harbor', 'inlet', 'juniper', 'kiln',
  'lantern', 'meadow', 'north', 'orchard', 'pebble', 'quarry', 'ridge', 'saddle', 'timber', 'upland', 'vessel',
  'willow', 'yarrow'];
const STATES = ['pending', 'paid', 'packed', 'shipped', 'delivered', 'returned'];

/** A small repeatable generator (mulberry32), so that an id decides its own body. */
function dice(seed) {
  let a = (seed * 2654435761) >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (n) => next() % n;
  const of = (list) => list[below(list.length)];
  const hex = (n) => { let s = ''; while (s.length < n) s += next().toString(16).padStart(8, '0'); return s.slice(0, n); };
  return {
    below, of, hex,
    text(n) { const w = []; for (let i = 0; i < n; i++) w.push(of(WORDS)); return w.join(' '); },
    uuid() { const h = hex(32); return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20)}`; },
    time() { return new Date(1672531200000 + below(63072000) * 1000 + below(1000)).toISOString(); },
  };
}

const two = (n) => Math.round(n) / 100;

function user(id) {
  const d = dice(id);
  const [given, family] = [d.of(GIVEN), d.of(FAMILY)];
  return {
    id, uuid: d.uuid(), username: `${family.toLowerCase()}${id}`, name: { given, family },
    email: `${family.toLowerCase()}.${id}@${d.of(WORDS)}.example`, verified: d.below(4) > 0, createdAt: d.time(),
    lastSeenAt: d.below(10) ? d.time() : null, roles: d.below(8) ? ['member'] : ['member', 'editor'],
    address: { street: `${d.below(900) + 1} ${d.text(2)} street`, city: d.of(WORDS), postcode: String(10000 + d.below(89999)), country: d.of(['DE', 'FR', 'PL', 'SE']) },
    preferences: { locale: d.of(['de-DE', 'fr-FR', 'pl-PL', 'sv-SE']), theme: d.of(['light', 'dark']), newsletter: d.below(2) === 1 },
    bio: d.text(50 + d.below(100)),
  };
}

function item(d, position) {
  return { position, sku: `SKU-${10000 + d.below(89999)}-${d.hex(2).toUpperCase()}`, title: d.text(3), quantity: 1 + d.below(5), unitPrice: two(100 + d.below(20000)) };
}

function order(id) {
  const d = dice(id + 7);
  const items = Array.from({ length: 3 + d.below(7) }, (_, i) => item(d, i + 1));
  return {
    orderId: id, number: `ORD-${d.hex(10)}`, status: d.of(STATES), customerId: 100000 + d.below(800000), currency: 'EUR', items,
    total: two(items.reduce((sum, i) => sum + i.quantity * i.unitPrice * 100, 0)), placedAt: d.time(),
    note: d.below(3) ? d.text(6) : null,
    shipping: { name: `${d.of(GIVEN)} ${d.of(FAMILY)}`, street: `${d.below(900) + 1} ${d.text(2)} street`, city: d.of(WORDS), postcode: String(10000 + d.below(89999)), carrier: d.of(['dhl', 'gls', 'ups']), tracking: d.hex(18).toUpperCase() },
    history: Array.from({ length: 1 + d.below(4) }, () => ({ status: d.of(STATES), at: d.time(), by: d.of(WORDS) })),
  };
}

function product(sku) {
  const d = dice(crc(sku));
  return {
    sku, title: d.text(4), description: d.text(60 + d.below(100)), price: { amount: two(100 + d.below(50000)), currency: 'EUR' },
    stock: { available: d.below(500), reserved: d.below(20), warehouse: d.of(WORDS) }, tags: [d.of(WORDS), d.of(WORDS), d.of(WORDS)],
    rating: d.below(50) / 10, images: [`/img/${d.hex(16)}.webp`, `/img/${d.hex(16)}.webp`],
  };
}

function crc(text) { let h = 7; for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0; return h >>> 0; }

function send(res, status, value) {
  const body = JSON.stringify(value);
  const length = Buffer.byteLength(body);
  const tag = crypto.createHash('sha1').update(body).digest('base64').slice(0, 27);
  res.writeHead(status, {
    'X-Powered-By': 'Express', 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': length,
    ETag: `W/"${length.toString(16)}-${tag}"`,
  });
  res.end(body);
}

function empty(res, status) { res.writeHead(status, { 'X-Powered-By': 'Express' }); res.end(); }

/** No Content-Length: Node frames these as chunks, the rows in several writes. */
function stream(res, id) {
  const d = dice(crc(id));
  res.writeHead(200, { 'X-Powered-By': 'Express', 'Content-Type': 'application/json; charset=utf-8' });
  res.write(`{"report":${JSON.stringify(id)},"generatedAt":${JSON.stringify(d.time())},"rows":[`);
  const rows = 4 + d.below(8);
  for (let i = 0; i < rows; i++) {
    const row = { day: d.time().slice(0, 10), label: d.text(2), orders: d.below(900), revenue: two(d.below(9000000)) };
    res.write((i ? ',' : '') + JSON.stringify(row));
  }
  res.end(`],"count":${rows}}`);
}

function missing(res, what) {
  send(res, 404, { error: { status: 404, code: 'NOT_FOUND', message: `${what} was not found`, traceId: crypto.randomBytes(8).toString('hex') } });
}

function answer(req, res, body) {
  const url = new URL(req.url, 'http://api');
  const [, api, , kind, id, part] = url.pathname.split('/');
  const q = (name, otherwise) => Number(url.searchParams.get(name) || otherwise);
  const n = Number(id);
  const sent = body && JSON.parse(body);
  if (api !== 'api') return missing(res, url.pathname);
  if (kind === 'users' && !id) {
    const page = q('page', 1);
    const users = Array.from({ length: q('limit', 4) }, (_, i) => { const u = user(page * 50 + i); return { id: u.id, username: u.username, email: u.email, verified: u.verified, createdAt: u.createdAt, city: u.address.city, summary: u.bio.slice(0, 60) }; });
    return send(res, 200, { data: users, page, pages: 4711, next: `/api/v1/users?page=${page + 1}&limit=${users.length}` });
  }
  if (kind === 'users' && n >= 900000) return missing(res, `User ${n}`);
  if (kind === 'users' && part === 'preferences') return send(res, 200, { userId: n, ...sent, updatedAt: dice(n).time() });
  if (kind === 'users') return send(res, 200, user(n));
  if (kind === 'orders' && req.method === 'POST') {
    const made = order(crc(body));
    return send(res, 201, { orderId: made.orderId, number: made.number, status: 'pending', customerId: sent.customerId, items: sent.items, reference: sent.reference, placedAt: made.placedAt });
  }
  if (kind === 'orders' && part === 'items') { const o = order(n); return send(res, 200, { orderId: n, items: o.items.slice(0, q('limit', 10)), count: o.items.length }); }
  if (kind === 'orders') return send(res, 200, order(n));
  if (kind === 'products') return send(res, 200, product(id));
  if (kind === 'search') {
    const term = url.searchParams.get('q');
    const d = dice(crc(url.search));
    const hits = Array.from({ length: 4 + d.below(6) }, () => ({ score: d.below(1000) / 1000, type: d.of(['product', 'article']), id: d.uuid(), title: `${term} ${d.text(3)}`, snippet: d.text(10 + d.below(10)) }));
    return send(res, 200, { query: term, page: q('page', 1), tookMs: d.below(40), hits });
  }
  if (kind === 'sessions' && req.method === 'DELETE') return empty(res, 204);
  if (kind === 'sessions') { const d = dice(crc(id)); return send(res, 200, { session: id, userId: 100000 + d.below(800000), ip: `192.0.2.${d.below(255)}`, startedAt: d.time(), expiresAt: d.time(), csrf: d.hex(40) }); }
  if (kind === 'events') return send(res, 202, { accepted: true, eventId: dice(crc(body)).uuid(), kind: sent.kind });
  if (kind === 'reports') return stream(res, id);
  if (kind === 'config') return req.headers['if-none-match'] ? empty(res, 304) : send(res, 200, { flags: { checkout: true, beta: false }, version: '4.12.0' });
  return missing(res, url.pathname);
}

let answered = 0;
const server = http.createServer((req, res) => {
  res.on('finish', () => { answered += 1; });
  if (req.method === 'GET' || req.method === 'DELETE') return answer(req, res, '');
  const parts = [];
  req.on('data', (part) => parts.push(part));
  return req.on('end', () => answer(req, res, Buffer.concat(parts).toString()));
});
server.keepAliveTimeout = 65000;  // longer than the recorder waits for the load to run dry
server.listen(port, address, 1024, () => process.stdout.write('listening\n'));
process.on('SIGTERM', () => { process.stdout.write(`${JSON.stringify({ answered })}\n`, () => process.exit(0)); });
