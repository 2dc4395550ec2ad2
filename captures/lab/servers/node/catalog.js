'use strict'
// A museum's catalogue whose shapes vary honestly: optional and null fields, unions, empty arrays, keys that are
// data, and a second version with other fields. Loans answer with every sort of error.

const { number, pick, hex, chance } = require('./seeded')

const json = (status, body, headers) => ({ status, body, headers: headers || {} })

function object (id, version) {
  const key = `object${id}`
  const found = {
    objectId: id,
    title: pick(key, ['Saddle', 'Spur', 'Branding iron', 'Map', 'Daguerreotype']),
    maker: chance(key + 'm', 60) ? { name: pick(key + 'n', ['Unknown', 'H. Voss', 'Sons of Ames']), born: chance(key + 'b', 50) ? 1800 + number(key, 90) : null } : null,
    dimensions: chance(key + 'd', 50) ? `${number(key + 'x', 90)} x ${number(key + 'y', 90)} cm` : { w: number(key + 'x', 90), h: number(key + 'y', 90), unit: 'cm' },
    images: chance(key + 'i', 50) ? [] : [{ href: `/images/${hex(key, 8)}.jpg`, width: 800 + number(key, 800) }],
    provenance: Array.from({ length: number(key + 'p', 4) }, (_, n) => ({ year: 1850 + number(key + n, 170), how: pick(key + n, ['gift', 'purchase', 'bequest']) }))
  }
  if (chance(key + 'v', 30)) found.insured = { value: number(key, 90000), currency: 'USD' }
  if (version >= 2) {
    found.accession = { number: `1987.${number(key, 400)}`, method: pick(key, ['gift', 'transfer']) }
    found.rights = pick(key, ['PD', 'CC-BY'])
    delete found.provenance
  }
  return found
}

function tags (id) {
  const found = {}
  for (let n = 0; n < 1 + number(`tags${id}`, 6); n++) found[hex(`tag${id}${n}`, 10)] = { weight: number(`w${id}${n}`, 100) / 100, by: pick(`b${id}${n}`, ['curator', 'visitor']) }
  return { objectId: id, tags: found }
}

function loan (id) {
  const [status, codeName, message] = pick(`loan${id}`, [
    [200], [200], [400, 'BAD_REQUEST', 'dates overlap'], [401, 'UNAUTHENTICATED', 'token expired'], [403, 'FORBIDDEN', 'not a lender'],
    [404, 'NOT_FOUND', `loan ${id}`], [409, 'CONFLICT', 'already on loan'], [410, 'GONE', 'withdrawn'], [422, 'UNPROCESSABLE', 'bad insurance'],
    [429, 'SLOW_DOWN', 'too many requests'], [500, 'INTERNAL', 'please report'], [503, 'BUSY', 'try again']])
  if (status === 200) return json(200, { loanId: id, borrower: pick(`lb${id}`, ['Cody', 'Denver', 'Tulsa']), from: '2026-05-01', to: null, objects: [id, id + 1] })
  return json(status, { error: { code: codeName, message }, requestId: hex(String(Math.random()), 16) }, status === 429 || status === 503 ? { 'Retry-After': '1' } : {})
}

function search (query) {
  const text = query.get('q') || ''
  const count = number(`search${text}`, 5)
  return json(200, { query: text, facets: count ? { maker: { unknown: count } } : {}, hits: Array.from({ length: count }, (_, n) => ({ objectId: number(text + n, 900), score: number(text + n + 's', 1000) / 1000 })) })
}

function handle (request, config) {
  const version = config.version || 1
  const [, kind, idText, part] = request.path.split('/').filter(Boolean)
  const id = Number(idText)
  if (kind === 'objects' && part === 'tags') return json(200, tags(id))
  if (kind === 'objects') return json(200, object(id, version))
  if (kind === 'loans') return loan(id)
  if (kind === 'search') return search(request.query)
  if (kind === 'version') return json(200, version >= 2 ? { version, features: ['rights'] } : { version })
  return json(404, { error: { code: 'NOT_FOUND', message: request.path }, requestId: hex(String(Math.random()), 16) })
}

module.exports = { handle }
