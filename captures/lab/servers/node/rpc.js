'use strict'
// Two protocols that put everything behind one path: JSON-RPC 2.0 and GraphQL.

const { number, pick, hex } = require('./seeded')

const METHODS = {
  'tank.level': p => ({ tank: p.tank, litres: number(`tank${p.tank}`, 9000), at: new Date().toISOString() }),
  'pump.start': p => p.pump > 90 ? null : ({ pump: p.pump, running: true, rpm: 900 + number(`pump${p.pump}`, 900) }),
  'gate.list': () => [1, 2, 3, 4].map(n => ({ gate: n, open: number(`gate${n}`, 2) === 1 })),
  'weather.now': p => p.station
}

function call (one) {
  const method = METHODS[one.method]
  if (!method) return { jsonrpc: '2.0', id: one.id, error: { code: -32601, message: 'Method not found' } }
  return { jsonrpc: '2.0', id: one.id, result: method(one.params || {}) }
}

const FIELDS = {
  Field: v => ({ field: { id: v.id, acres: 4 + number(`f${v.id}`, 300), crop: pick(`f${v.id}`, ['alfalfa', 'barley', null]), sensors: Array.from({ length: number(`s${v.id}`, 4) }, (_, n) => ({ id: hex(`${v.id}${n}`, 6), moisture: number(`m${v.id}${n}`, 100) })) } }),
  Season: v => ({ season: { year: v.year, harvests: [{ month: 8, tonnes: number(`h${v.year}`, 900) }], notes: null } }),
  AddReading: v => ({ addReading: { ok: true, reading: { id: hex(`${v.sensor}${Date.now()}`, 12), value: v.value } } })
}

function handle (request) {
  const body = JSON.parse(request.body || '{}')
  if (request.path === '/rpc') return { status: 200, headers: {}, body: Array.isArray(body) ? body.map(call) : call(body) }
  if (request.path === '/graphql') {
    const make = FIELDS[body.operationName]
    if (!make) return { status: 200, headers: {}, body: { errors: [{ message: `Unknown operation "${body.operationName}"`, locations: [{ line: 1, column: 1 }] }] } }
    return { status: 200, headers: {}, body: { data: make(body.variables || {}) } }
  }
  return { status: 404, headers: {}, body: { message: 'not found' } }
}

module.exports = { handle }
