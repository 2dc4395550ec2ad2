'use strict'
// A ledger whose answers repeat something of their request: a query value, a field of the body, the request's id, a
// segment in the middle of the path, two of these. And, under /v1/odd, answers that repeat it only sometimes, only in
// another spelling, or only by chance.

const { number, pick, hex, chance } = require('./seeded')

const json = (status, body, headers) => ({ status, body, headers: headers || {} })
const missing = path => json(404, { code: 'unknown_path', detail: path })
const cents = (key, limit) => number(key, limit) / 100
const at = now => now.toISOString()

function statement (account, month, now) {
  const key = `statement${account}${month}`
  return { account, month, opening: cents(key, 900000), closing: cents(key + 'c', 900000), lines: Array.from({ length: 1 + number(key + 'n', 4) }, (_, n) => ({ day: 1 + number(key + n, 28), text: pick(key + 't' + n, ['card', 'standing order', 'fee', 'interest']), amount: cents(key + 'a' + n, 50000) })), printedAt: at(now) }
}

function quote (asked, now) {
  const key = `quote${asked.reference}`
  return { reference: asked.reference, pair: `${asked.from}${asked.to}`, rate: 1 + number(key, 9000) / 10000, fee: cents(key + 'f', 900), validUntil: new Date(now.getTime() + 30000).toISOString() }
}

function rates (now) {
  const key = `rates${now.getTime()}`
  return { base: 'USD', tick: number(key, 1e9), quotes: { EUR: 0.8 + number(key + 'e', 2000) / 10000, GBP: 0.7 + number(key + 'g', 2000) / 10000, CHF: 0.8 + number(key + 'c', 2000) / 10000 } }
}

function balance (account, now) {
  const key = `balance${account}`
  return { accountId: account, available: cents(key, 9000000), pending: cents(key + 'p', 90000), currency: pick(key + 'c', ['USD', 'EUR']), asOf: at(now) }
}

function fulfilment (tenant, order, now) {
  const key = `fulfilment${tenant}${order}`
  return { tenant, order, state: pick(key, ['picking', 'packed', 'shipped']), parcels: Array.from({ length: 1 + number(key + 'n', 2) }, (_, n) => ({ weightG: 100 + number(key + n, 9000), carrier: pick(key + 'c' + n, ['post', 'courier']) })), checkedAt: at(now) }
}

// What repeats nothing, or not reliably.
function odd (request, kind, name) {
  const { method, query, now, headers } = request
  const key = `${kind}${name}`
  const moment = `${key}${now.getTime()}`
  if (kind === 'devices') return json(200, Object.assign({ online: chance(key, 80), battery: number(moment, 100), seenAt: at(now) }, chance(moment, 50) ? { device: name } : {}))
  if (kind === 'vehicles') return json(200, { plate: name.toUpperCase(), axles: 2 + number(key, 3), tollClass: pick(key, ['A', 'B', 'C']), checkedAt: at(now) })
  if (kind === 'branches') return json(200, { branch: Number(name), city: pick(key, ['Lander', 'Cody', 'Dubois']), counters: 1 + number(key, 9), openedAt: at(now) })
  if (kind === 'terminals') return json(200, { terminal: name.padStart(8, '0'), model: pick(key, ['T2', 'T5']), firmware: `4.${number(key, 30)}`, askedAt: at(now) })
  if (kind === 'transfers' && method === 'POST') {
    const asked = JSON.parse(request.body)
    const made = 40000 + number(moment + request.body, 20000)
    return json(201, { transfer: made, state: 'accepted', amount: asked.amount, at: at(now) }, { Location: `/v1/odd/transfers/${made}` })
  }
  if (kind === 'entries') {
    const token = query.get('page_token') || 'first'
    return json(200, { items: [0, 1, 2].map(n => ({ entry: 40000 + number(token + n, 20000), amount: cents(token + n + 'a', 90000) })), next_page_token: hex(token, 16), servedAt: at(now) })
  }
  if (kind === 'related') return json(200, { related: [0, 1, 2, 3].map(n => 100 + number(`${moment}${n}`, 40)), weight: number(moment, 100) / 100 })
  if (kind === 'go') return { status: 302, headers: { Location: `/v1/accounts/${40000 + number(key, 20000)}/balance` }, body: null }
  if (kind === 'terms') {
    const tag = `"${hex(key, 12)}"`
    if (headers['if-none-match'] === tag) return { status: 304, headers: { ETag: tag }, body: null }
    return json(200, { terms: name, version: number(key, 20), text: pick(key, ['short', 'long', 'standard']) }, { ETag: tag })
  }
  if (kind === 'announcements') return json(200, { announcements: [{ title: 'Maintenance on Sunday', level: 'info' }, { title: 'New fees from May', level: 'notice' }] })
  if (kind === 'profile') return json(200, { profile: name, segment: pick(key, ['retail', 'business']), language: pick(key, ['en', 'es', 'fr']), since: 1990 + number(key, 36) })
  return missing(request.path)
}

function handle (request) {
  const { method, path, query, headers, now } = request
  const id = headers['x-request-id']
  const echo = id ? { 'X-Request-Id': id } : {}
  const [version, kind, name, part] = path.split('/').filter(Boolean)
  if (version !== 'v1') return missing(path)
  if (kind === 'odd') return odd(request, name, part || '')
  if (kind === 'statements') return json(200, statement(query.get('account'), query.get('month'), now))
  if (kind === 'quotes' && method === 'POST') return json(200, quote(JSON.parse(request.body), now))
  if (kind === 'rates') return json(200, rates(now), echo)
  if (kind === 'accounts' && part === 'balance') return json(200, balance(Number(name), now))
  if (kind === 'fulfilments') return json(200, fulfilment(query.get('tenant'), Number(query.get('order')), now))
  return missing(path)
}

module.exports = { handle }
