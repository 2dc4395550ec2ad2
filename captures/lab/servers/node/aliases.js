'use strict'
// A registry in which a thing has several names: merged customers answer under their survivor's id, moved articles under
// their new slug, "latest" under its number; a counterparty is whoever stands on the other side; a job's result is
// whatever the job was about. All of it always so, whoever else is asking.

const { number, pick, hex } = require('./seeded')

const json = (status, body, headers) => ({ status, body, headers: headers || {} })

let merged = id => id % 10 === 0

function customer (id) {
  const survivor = merged(id) ? id + 1 : id
  const key = `customer${survivor}`
  return { customerId: survivor, name: pick(key, ['Acme Hay & Feed', 'Blue Mesa LLC', 'Teton Tack Co', 'Ojala Farms']), since: 1990 + number(key, 36), tier: pick(key + 't', ['gold', 'silver']) }
}

function article (slug) {
  const now = slug.replace(/^old-/, '')
  return { slug: now, words: 200 + number(now, 3000), tags: ['horses', 'tack', 'hay'].slice(0, 1 + number(now + 't', 3)) }
}

function release (name) {
  const version = name === 'latest' ? '4.17' : name
  return { version, build: hex(version, 10), notes: `notes for ${version}` }
}

function result (id, now) {
  const about = 100 + number(`about${id}`, 40)
  if (id % 3 === 0) return customer(about)
  if (id % 3 === 1) return article(`piece-${about}`)
  return { job: id, finishedAt: now.toISOString(), value: number(`value${id}`, 900) }
}

function handle (request, config) {
  if (config.merged) merged = id => config.merged.includes(id)
  const { method, path, query, now } = request
  const [, kind, name, part] = path.split('/').filter(Boolean)
  const id = Number(name)
  if (kind === 'customers' && part === 'counterparty') return json(200, { counterparty: id ^ 1, exposure: number(`exposure${id}`, 90000) / 100, asOf: now.toISOString() })
  if (kind === 'customers' && id) return json(200, customer(id))
  if (kind === 'customers') return json(200, { found: [customer(number(query.get('email'), 40) + 100)], email: query.get('email') })
  if (kind === 'articles') return json(200, article(name))
  if (kind === 'releases') return json(200, release(name))
  if (kind === 'results') return json(200, result(id, now))
  if (kind === 'lookup' && method === 'POST') return json(200, { customers: JSON.parse(request.body).ids.map(customer).reverse() })
  return json(404, { code: 'unknown_path', detail: path })
}

module.exports = { handle }
