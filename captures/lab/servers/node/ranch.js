'use strict'
// A ranch's dispatch API: camelCase, plain objects, ids as integers, errors in an envelope.

const { number, pick, hex, chance } = require('./seeded')

const NAMES = ['Juniper', 'Copper', 'Dakota', 'Mesa', 'Rosalind', 'Biscuit', 'Tornado', 'Sable', 'Flint', 'Marigold']
const BREEDS = ['Quarter Horse', 'Appaloosa', 'Mustang', 'Paint', 'Morgan']
const COATS = ['bay', 'chestnut', 'grey', 'palomino', 'roan']
const PEOPLE = ['E. Calloway', 'R. Ibarra', 'T. Whitehorse', 'M. Oduya', 'J. Lindqvist']
const PLACES = ['North Gate', 'Elk Creek', 'Fairgrounds', 'Vet Clinic', 'Summer Range']

const day = (key, years) => new Date(Date.UTC(2026 - number(key + 'y', years) - 1, number(key, 12), 1 + number(key + 'd', 28)))
  .toISOString().slice(0, 10)
const json = (status, body, more) => Object.assign({ status, body, headers: {} }, more)
const missing = (what, id) => json(404, { error: { code: 'NOT_FOUND', message: `${what} ${id} does not exist`, traceId: hex(what + id + Date.now(), 16) } })
const invalid = (field, message) => json(422, { error: { code: 'INVALID', message, field, traceId: hex(field + Date.now(), 16) } })

function summary (id) {
  const key = `horse${id}`
  return { id, name: pick(key, NAMES), breed: pick(key + 'b', BREEDS), paddock: 1 + number(key + 'p', 12), available: chance(key + 'a', 70) }
}

function horse (id) {
  const key = `horse${id}`
  const found = {
    id,
    name: pick(key, NAMES),
    breed: pick(key + 'b', BREEDS),
    foaledOn: day(key, 18),
    hands: 13 + number(key + 'h', 40) / 10,
    weightKg: 380 + number(key + 'w', 220),
    coat: { color: pick(key + 'c', COATS), markings: chance(key + 'm', 60) ? ['star', 'left hind sock'].slice(0, 1 + number(key + 'n', 2)) : [] },
    owner: chance(key + 'o', 75) ? { id: 100 + number(key + 'oi', 40), name: pick(key + 'on', PEOPLE) } : null
  }
  if (chance(key + 'chip', 50)) found.microchip = `985${1000000 + number(key + 'ch', 8999999)}`
  return found
}

function vetReport (id) {
  const key = `vet${id}`
  return {
    reportId: `VR-${20000 + number(key, 70000)}`,
    horseId: id,
    examinedAt: day(key, 2) + 'T14:30:00Z',
    examiner: { name: `Dr. ${pick(key + 'p', PEOPLE)}`, licence: `WY-${1000 + number(key + 'l', 9000)}` },
    vitals: { heartRate: 28 + number(key + 'hr', 16), temperatureC: 37.2 + number(key + 't', 14) / 10, respiration: 8 + number(key + 'r', 8) },
    findings: ['teeth', 'hooves', 'gait'].slice(0, 1 + number(key + 'f', 3)).map(system => ({ system, note: pick(key + system, ['unremarkable', 'mild wear', 'recheck in six weeks']), severity: number(key + system + 's', 4) })),
    vaccinations: { tetanus: day(key + 'te', 2), rabies: day(key + 'ra', 2), influenza: day(key + 'in', 2) },
    fitToTravel: chance(key + 'fit', 85)
  }
}

function occupancy (id, now) {
  const key = `paddock${id}`
  const capacity = 6 + number(key, 10)
  const occupied = number(key + 'o', capacity)
  return { paddock: id, asOf: now.toISOString(), capacity, occupied, free: capacity - occupied, water: { levelPct: 40 + number(key + 'w' + now.getSeconds(), 60), heated: chance(key + 'h', 30) } }
}

function dispatch (id, now) {
  const key = `dispatch${id}`
  return {
    dispatchId: id,
    state: pick(key, ['queued', 'loading', 'enroute', 'delivered']),
    trailer: `TR-${10 + number(key + 't', 30)}`,
    driver: pick(key + 'd', PEOPLE),
    legs: [0, 1, 2].slice(0, 1 + number(key + 'l', 3)).map(n => ({ seq: n + 1, from: pick(key + 'f' + n, PLACES), to: pick(key + 'g' + n, PLACES), km: 4 + number(key + 'k' + n, 160) })),
    position: { lat: 42.8 + number(key + 'la', 900) / 1000, lon: -108.7 + number(key + 'lo', 900) / 1000, at: now.toISOString() }
  }
}

function shifts (id, week) {
  const key = `shift${id}${week}`
  return {
    wranglerId: id,
    week,
    shifts: ['MON', 'TUE', 'THU', 'SAT'].slice(0, 2 + number(key, 3)).map(d => ({ day: d, start: '06:00', end: pick(key + d, ['14:00', '15:30', '18:00']), duty: pick(key + d + 'x', ['feeding', 'training', 'trail guide', 'fencing']) })),
    hours: 16 + number(key + 'h', 24),
    overtime: chance(key + 'ov', 20)
  }
}

function feed () {
  return {
    lots: ['timothy', 'alfalfa', 'oats', 'beet pulp', 'mineral block', 'straw'].map((sku, n) => ({ sku, lot: `L${4100 + n}`, bales: 12 + number('bales' + sku, 400), moisturePct: 9 + number('moist' + sku, 60) / 10, supplier: { code: `S${n + 1}`, name: pick('sup' + sku, PEOPLE) }, openedOn: day('op' + sku, 1) })),
    lowStock: ['mineral block'],
    countedBy: pick('counted', PEOPLE)
  }
}

function handle (request) {
  const { method, path, query, now } = request
  const at = path.split('/').filter(Boolean)
  if (at[0] !== 'api' || at[1] !== 'v1') return missing('route', path)
  const [kind, idText, part] = at.slice(2)
  const id = Number(idText)
  const known = id > 0 && id < 9000
  if (kind === 'horses' && idText === undefined) {
    const page = Number(query.get('page') || 1)
    const items = Array.from({ length: 5 }, (_, n) => summary(page * 5 + n))
    return json(200, { items, page, pageSize: 5, total: 412 })
  }
  if (kind === 'horses' && !known) return missing('horse', idText)
  if (kind === 'horses' && part === 'vet-report') return json(200, vetReport(id))
  if (kind === 'horses' && part === undefined) return json(200, horse(id), { headers: { ETag: `"${hex(path, 12)}"` } })
  if (kind === 'paddocks' && part === 'occupancy') return known ? json(200, occupancy(id, now)) : missing('paddock', idText)
  if (kind === 'wranglers' && part === 'shifts') return json(200, shifts(id, query.get('week')))
  if (kind === 'feed') return json(200, feed(), { chunked: true })
  if (kind === 'dispatches' && method === 'POST') {
    const wanted = JSON.parse(request.body || '{}')
    if (!wanted.horseId) return invalid('horseId', 'horseId is required')
    const made = 50000 + number(request.body + now.getTime(), 40000)
    return json(201, { dispatchId: made, state: 'queued', horseId: wanted.horseId, requestedBy: wanted.requestedBy || null, createdAt: now.toISOString() }, { headers: { Location: `/api/v1/dispatches/${made}` } })
  }
  if (kind === 'dispatches' && method === 'DELETE') return json(204, null)
  if (kind === 'dispatches' && id) return json(200, dispatch(id, now))
  return missing('route', path)
}

module.exports = { handle }
