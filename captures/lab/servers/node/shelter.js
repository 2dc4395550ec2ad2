'use strict'
// An animal shelter on Node's own http, whose adopters are loaded in batches by dataloader (npm).
//
// Fault `unordered-rows` (graphql/dataloader#66): one loader serves all requests, and its batch function returns rows
// as the table has them, by id, and not in the order of the keys. Requests that share a batch get each other's rows.

const http = require('http')
const DataLoader = require('dataloader')
const { asked, config, fault, log, logAnswer, seconds, sleep, slowness } = require('./served.js')
const { number, pick, hex } = require('./seeded.js')

const NAMES = ['Ana Quist', 'Per Lund', 'Mika Sato', 'Dora Amaro', 'Lou Holt', 'Ines Park']
const adopter = id => ({
  id: Number(id),
  name: pick(`a${id}`, NAMES),
  email: `adopter-${id}@mail.example`,
  household: { adults: 1 + number(`h${id}`, 3), children: number(`c${id}`, 4), garden: number(`g${id}`, 2) === 1 },
  waitingFor: Array.from({ length: number(`w${id}`, 3) }, (_, n) => ({ animal: 1 + number(id + n, 900), since: `2026-0${1 + number(`s${id}${n}`, 9)}-12` }))
})
const animal = id => ({
  tag: `${pick(`k${id}`, ['D', 'C', 'G'])}-${id}`,
  called: pick(`n${id}`, ['Biscuit', 'Moss', 'Pepper', 'Rye', 'Fennel']),
  weightKg: number(`w${id}`, 400) / 10,
  chip: hex(`chip${id}`, 12),
  vaccinations: Array.from({ length: number(`v${id}`, 4) }, (_, n) => pick(`${id}${n}`, ['rabies', 'distemper', 'flu']))
})

const table = new DataLoader(async ids => {
  await sleep(3)
  const keys = fault.name === 'unordered-rows' ? [...ids].sort((a, b) => a - b) : ids
  return keys.map(key => ({ key, row: adopter(String(key)) }))
}, { cache: false, batchScheduleFn: done => setTimeout(done, config.window || 25) })

const waiting = new Map()

async function answer (url, row) {
  const [, kind, id] = url.pathname.split('/').filter(Boolean)
  if (kind === 'adopters') {
    waiting.set(Number(id), row)
    const found = await table.load(Number(id))
    if (found.key === Number(id)) return [200, found.row, row]
    log({ fault: 'unordered-rows', request: id, row: found.key, at: seconds() })
    return [200, found.row, waiting.get(found.key)]
  }
  if (kind === 'animals' && !id) return [200, { kind: url.searchParams.get('kind'), page: Number(url.searchParams.get('page')), animals: Array.from({ length: 4 }, (_, n) => animal(String(1 + number(url.search + n, 900))).tag) }, row]
  if (kind === 'animals' && Number(id) <= 9000) return [200, animal(id), row]
  if (kind === 'visits') return [200, { visit: Number(id), on: `2026-12-${10 + number(id, 18)}`, minutes: pick(id, [20, 30, 45]), volunteer: pick(`v${id}`, NAMES) }, row]
  return [404, { message: 'not here' }, row]
}

http.createServer(async (req, res) => {
  const row = asked(req, '')
  await sleep(slowness(`${req.method} ${req.url}`))
  const [status, body, made] = await answer(new URL(req.url, 'http://shelter'), row)
  const text = JSON.stringify(body)
  logAnswer(made, status, text)
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  res.end(text)
}).listen(config.port, '0.0.0.0', () => console.log(`ready: node ${process.version}`))
