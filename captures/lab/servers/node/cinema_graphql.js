'use strict'
// A cinema's GraphQL service: graphql-js and graphql-http on Node's own http, loaders by dataloader.
//
// Faults, each a mistake that is made with these libraries: `unordered-rows` has a loader that serves all requests and
// whose batch function returns rows as the table has them, by id, and not as the keys were asked; `shared-context`
// makes the context once, and each request writes its viewer into it.

const http = require('http')
const DataLoader = require('dataloader')
const { buildSchema } = require('graphql')
const { createHandler } = require('graphql-http')
const { asked, config, fault, log, logAnswer, seconds, sleep, slowness } = require('./served.js')
const { number, pick, hex } = require('./seeded.js')

// From `wishes_after` seconds on, members have wishes.
const schemaWith = more => buildSchema(`
  type Film { id: ID!, title: String!, minutes: Int!, rating: String, cast: [Person!]!, screenings(first: Int): [Screening!]! }
  type Person { name: String!, born: Int, films: [Film!]! }
  type Seat { row: String!, number: Int! }
  type Screening { startsAt: String!, hall: String!, subtitled: Boolean, priceCents: Int!, free: Int!, seats: [Seat!]! }
  type Viewer { name: String!, level: String!, points: Int!, watchlist: [Film!]! ${more} }
  type Ticket { code: String!, seat: Seat! }
  type Query { film(id: ID!): Film, screening(id: ID!): Screening, search(text: String!): [Film!]!, me: Viewer, person(name: String!): Person }
  type Mutation { buy(screening: ID!, row: String!): Ticket! }
`)

const TITLES = ['The Long Ferry', 'Salt and Paper', 'A Week in Borås', 'Night Depot', 'The Surveyor', 'Two Kettles', 'Harbour Lights', 'Wolf Month']
const PEOPLE = ['Ana Quist', 'Per Lund', 'Mika Sato', 'Dora Amaro', 'Lou Holt', 'Ines Park']

const person = name => ({ name, born: number(`b${name}`, 4) ? 1940 + number(name, 60) : null, films: () => [0, 1].map(n => film(String(number(name + n, 500)))) })
const film = id => ({
  id,
  title: `${pick(`t${id}`, TITLES)} ${1 + number(`n${id}`, 9)}`,
  minutes: 70 + number(`m${id}`, 90),
  rating: number(`r${id}`, 3) ? pick(`r${id}`, ['PG', 'PG-13', 'R']) : null,
  cast: [0, 1, 2].slice(0, 1 + number(`c${id}`, 3)).map(n => person(pick(id + n, PEOPLE))),
  screenings: ({ first }) => Array.from({ length: Math.min(first || 3, number(`s${id}`, 5)) }, (_, n) => screening(String(number(id + n, 9000))))
})
const seat = key => ({ row: pick(`r${key}`, [...'ABCDEFGH']), number: 1 + number(`s${key}`, 22) })
const screening = id => ({
  id,
  startsAt: `2026-12-${String(1 + number(`d${id}`, 28)).padStart(2, '0')}T${12 + number(`h${id}`, 11)}:15`,
  hall: pick(`l${id}`, ['Blue', 'Old', 'Roof', 'Studio 3']),
  subtitled: pick(`u${id}`, [true, false, null]),
  priceCents: 700 + 50 * number(`p${id}`, 20),
  free: number(`f${id}`, 200),
  seats: () => Array.from({ length: number(`e${id}`, 4) }, (_, n) => seat(id + n))
})

// The mistake of `unordered-rows` is in two places: one loader for all requests, and a table's order for the keys'.
const waiting = new Map()
const newLoader = () => new DataLoader(async ids => {
  await sleep(4)
  const keys = fault.name === 'unordered-rows' ? [...ids].sort((a, b) => a - b) : ids
  return keys.map(screening)
}, { cache: false, batchScheduleFn: done => setTimeout(done, config.window || 5) })
const shared = newLoader()
const once = { viewer: null }

const viewer = token => ({
  name: pick(`v${token}`, PEOPLE),
  level: pick(`l${token}`, ['guest', 'friend', 'patron']),
  points: number(`p${token}`, 4000),
  watchlist: () => [0, 1, 2].slice(0, number(`w${token}`, 4)).map(n => film(String(number(token + n, 500)))),
  wishes: () => number(`i${token}`, 2) ? ['more matinees'] : null
})

const made = new WeakMap() // whom a request's answer was really resolved for, where that is another

const rootValue = {
  film: ({ id }) => Number(id) > 500 ? null : film(id),
  person: ({ name }) => person(name),
  search: ({ text }) => Array.from({ length: number(`q${text}`, 4) }, (_, n) => film(String(number(text + n, 500)))),
  screening: async ({ id }, context) => {
    const row = await context.loader.load(id)
    if (row.id !== id) {
      made.set(context.asked, waiting.get(row.id))
      log({ fault: 'unordered-rows', request: id, row: row.id, at: seconds() })
    }
    return row
  },
  me: async (_, context) => {
    const mine = context.asked
    await sleep(context.wait)
    if (!context.viewer) throw new Error('sign in first')
    if (context.asked !== mine) {
      made.set(mine, context.asked)
      log({ fault: 'shared-context', request: mine.who, answered: context.asked.who, at: seconds() })
    }
    return viewer(context.viewer)
  },
  buy: ({ screening, row }, context) => ({ code: hex(`${screening}${row}${context.asked.received}`, 10).toUpperCase(), seat: { row, number: 1 + number(screening, 22) } })
}

function contextOf (own) {
  const fresh = { viewer: own.token, loader: fault.name === 'unordered-rows' ? shared : newLoader(), asked: own.row, wait: own.wait }
  if (fault.name !== 'shared-context' || !own.personal) return fresh
  return Object.assign(once, fresh) // the mistake
}

const handlers = ['', ', wishes: [String!]'].map(more => createHandler({ schema: schemaWith(more), rootValue, context: request => contextOf(request.raw) }))
const started = seconds()
const handler = () => handlers[Number(seconds() - started > (config.wishes_after || Infinity))]

function variables (body) {
  try {
    return JSON.parse(body).variables || {}
  } catch (error) {
    return {}
  }
}

async function serve (req, res, body) {
  const name = `${req.method} ${req.url}`
  const row = asked(req, body)
  const token = (req.headers.authorization || '').replace('Bearer ', '') || null
  const own = { row, token, wait: slowness(name, body), personal: /\bme\b/.test(body) }
  const { id } = variables(body)
  if (id) waiting.set(id, row)
  let [text, init] = ['{"up":true}', { status: 200, headers: { 'content-type': 'application/json' } }]
  if (req.url !== '/healthz') {
    if (!own.personal) await sleep(own.wait)
    ;[text, init] = await handler()({ method: req.method, url: req.url, headers: req.headers, body, raw: own, context: {} })
  }
  logAnswer(made.get(row) || row, init.status, text || '')
  res.writeHead(init.status, init.headers)
  res.end(text)
}

http.createServer((req, res) => {
  const parts = []
  req.on('data', part => parts.push(part))
  req.on('end', () => serve(req, res, Buffer.concat(parts).toString()))
}).listen(config.port, '0.0.0.0', () => console.log(`ready: node ${process.version}`))
