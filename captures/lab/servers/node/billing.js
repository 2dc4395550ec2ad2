'use strict'
// A billing API: snake_case, everything under "data" with a "meta" beside it, prefixed ids, problem+json errors.

const { number, pick, hex, chance } = require('./seeded')

const money = key => ({ amount: (1 + number(key, 900000)) / 100, currency: pick(key + 'cur', ['USD', 'EUR', 'GBP']) })
const wrap = (data, now, more) => ({ data, meta: Object.assign({ api_version: '2024-06', served_at: now.toISOString(), livemode: true }, more) })
const answer = (status, body, headers) => ({ status, body, headers: headers || {} })
const problem = (status, title, detail) => ({ status, type: 'application/problem+json', headers: {}, body: { type: `https://errors.example/${status}`, title, status, detail } })

function invoice (id) {
  return {
    object: 'invoice',
    id,
    customer: `cus_${hex(id + 'c', 12)}`,
    number: `2026-${1000 + number(id, 9000)}`,
    status: pick(id + 's', ['draft', 'open', 'paid', 'void']),
    total: money(id),
    lines: [0, 1, 2].slice(0, 1 + number(id + 'n', 3)).map(n => ({ sku: `plan_${pick(id + n, ['basic', 'team', 'plus'])}`, quantity: 1 + number(id + 'q' + n, 20), unit_price: money(id + 'u' + n) })),
    paid_at: chance(id + 'p', 50) ? 1750000000 + number(id + 'pa', 30000000) : null
  }
}

function customer (id) {
  const found = { object: 'customer', id, email: `${hex(id, 6)}@customer.example`, name: pick(id, ['Acme Hay & Feed', 'Blue Mesa LLC', 'Teton Tack Co', 'Ojala Farms']), address: { line1: `${1 + number(id, 900)} Main St`, city: pick(id + 'ci', ['Lander', 'Cody', 'Dubois']), postal_code: `82${100 + number(id, 900)}`, country: 'US' }, default_source: null, metadata: {} }
  if (chance(id + 'm', 40)) found.metadata = { [`crm_${hex(id, 4)}`]: hex(id + 'v', 8) }
  return found
}

function payment (id) {
  return { object: 'payment_intent', id, amount_captured: number(id, 500000), method: { type: 'card', last4: String(1000 + number(id + 'l', 9000)), exp_year: 2027 + number(id + 'e', 5) }, risk: { score: number(id + 'r', 100), level: pick(id + 'rl', ['normal', 'elevated']) }, captured: chance(id + 'cap', 80), refunds: [] }
}

function handle (request) {
  const { method, path, query, now } = request
  const [, kind, id, part] = path.split('/').filter(Boolean)
  if (id && id.endsWith('_missing')) return problem(404, 'No such resource', `${kind} ${id} was not found`)
  if (kind === 'invoices' && method === 'POST') return answer(201, wrap(invoice(`inv_${hex(request.body + now.getTime(), 14)}`), now))
  if (kind === 'invoices' && id && part === 'pdf') return { status: 200, headers: { 'Content-Disposition': 'inline' }, type: 'application/pdf', body: Buffer.from(`%PDF-1.4\n% ${id} ${hex(id, 40)}\n`.repeat(20)) }
  if (kind === 'invoices' && id) return answer(200, wrap(invoice(id), now))
  if (kind === 'invoices') return answer(200, wrap([0, 1, 2, 3].map(n => invoice(`inv_${hex(query.get('cursor') + n, 14)}`)), now, { has_more: true, next_cursor: hex(query.get('cursor') || '', 10) }))
  if (kind === 'customers' && id) return answer(200, wrap(customer(id), now))
  if (kind === 'payments' && method === 'POST' && part === 'capture') return answer(202, wrap({ object: 'capture_job', id: `job_${hex(id + now.getTime(), 10)}`, payment: id, state: 'pending' }, now))
  if (kind === 'payments' && id) return answer(200, wrap(payment(id), now))
  if (kind === 'balance') return answer(200, wrap({ object: 'balance', available: [money('bal' + now.getSeconds())], pending: [money('pen'), money('pen2')], connect_reserved: [] }, now))
  return problem(404, 'Unknown path', path)
}

module.exports = { handle }
