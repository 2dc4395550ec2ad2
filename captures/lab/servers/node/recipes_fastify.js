'use strict'
// A recipe service on Fastify: an envelope, slugs, bearer tokens, idempotency keys, long polls, variants.
//
// Faults, each a mistake that is made with this framework: `decorated-object` decorates requests with an object, which
// all of them share; `one-waiter` keeps the one request that waits for a kitchen's next ticket, though there can be two.

const zlib = require('zlib')
const fastify = require('fastify')
const { asked, config, fault, log, logAnswer, seconds, sleep, slowness } = require('./served.js')
const { number, pick, hex, chance } = require('./seeded.js')

const app = fastify({ logger: false, keepAliveTimeout: 20000 })
const started = seconds()
const flagged = () => seconds() - started > (config.flag_after || Infinity)
const title = slug => slug.split('-').map(word => word[0].toUpperCase() + word.slice(1)).join(' ')
const slugOf = seed => `${pick(`a${seed}`, ['smoked', 'green', 'quick', 'sour', 'sunday', 'cold'])}-${pick(`b${seed}`, ['barley', 'trout', 'plum', 'onion', 'rye', 'bean'])}-${pick(`c${seed}`, ['soup', 'pie', 'salad', 'bread'])}`

function recipe (slug, variant) {
  const made = {
    slug,
    title: title(slug),
    servings: 1 + number(`s${slug}`, 8),
    minutes: { prep: 5 * number(`p${slug}`, 9), cook: 5 * number(`k${slug}`, 30) },
    ingredients: Array.from({ length: 2 + number(`n${slug}`, 5) }, (_, n) => ({ name: pick(`${slug}${n}`, ['flour', 'butter', 'salt', 'milk', 'thyme', 'honey']), grams: chance(`g${slug}${n}`, 70) ? 5 * number(`w${slug}${n}`, 100) : null }))
  }
  if (chance(`v${slug}`, 30)) made.video = { href: `/media/${hex(slug, 12)}.mp4`, seconds: 30 + number(slug, 400) }
  if (variant === 'b') made.hero = { colour: pick(slug, ['#a33', '#3a3', '#33a']), blurb: `Try our ${title(slug).toLowerCase()}.` }
  if (flagged()) made.nutrition = chance(`u${slug}`, 80) ? { kcal: 100 + number(slug, 900) } : null
  return made
}

const reviews = slug => Array.from({ length: number(`r${slug}`, 5) }, (_, n) => ({ stars: 1 + number(`${slug}s${n}`, 5), by: pick(`${slug}b${n}`, ['holt', 'sato', 'lund']), ...(chance(`${slug}t${n}`, 60) ? { text: 'Made it twice.' } : {}) }))
const ticket = (kitchen, place) => ({ kitchen, place, lines: Array.from({ length: 1 + number(`${kitchen}${place}`, 3) }, (_, n) => ({ dish: slugOf(`${kitchen}${place}${n}`), count: 1 + number(`${place}${n}`, 4) })), due: 5 + number(place, 40) })
const profile = token => ({ name: pick(`n${token}`, ['J. Holt', 'M. Sato', 'P. Lund', 'A. Quist']), plan: pick(`p${token}`, ['free', 'family', 'pro']), saved: number(`s${token}`, 90), allergies: ['nuts', 'milk', 'egg'].slice(0, number(`a${token}`, 4)) })
const failure = (reply, status, code) => reply.code(status).send({ data: null, error: { code } })

if (fault.name === 'decorated-object') app.decorateRequest('account', { token: null }) // the mistake: one object
else app.decorateRequest('account', null)

app.addHook('preHandler', async (request, reply) => {
  request.own = request.made = asked(request.raw, request.body ? request.rawText : '')
  const name = `${request.method} ${request.url}`
  request.wait = slowness(name)
  if (request.url.startsWith('/v2/account')) {
    const token = (request.headers.authorization || '').replace('Bearer ', '')
    if (!token) return failure(reply, 401, 'NO_TOKEN')
    if (fault.name === 'decorated-object') Object.assign(request.account, { token, asked: request.own })
    else request.account = { token, asked: request.own }
  }
  if (!request.url.includes('/next-ticket')) await sleep(request.wait)
})
app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
  request.rawText = text
  done(null, text ? JSON.parse(text) : {})
})
app.addHook('onSend', async (request, reply, payload) => {
  if (!request.own) request.own = request.made = asked(request.raw, '')
  if (payload && payload.length > 500 && /gzip/.test(request.headers['accept-encoding'] || '')) {
    reply.header('content-encoding', 'gzip')
    reply.removeHeader('content-length')
    payload = zlib.gzipSync(payload)
  }
  if (request.made !== request.own) log({ fault: fault.name, request: `${request.method} ${request.url}`, at: seconds() })
  logAnswer(request.made, reply.statusCode, payload || '')
  return payload
})

const variantOf = request => /variant=b/.test(request.headers.cookie || '') ? 'b' : 'a'
app.get('/v2/recipes', async request => {
  const after = request.query.after || ''
  const found = Array.from({ length: number(`l${request.query.tag}${after}`, 6) }, (_, n) => slugOf(`${request.query.tag}${after}${n}`))
  return { data: found.map(slug => ({ slug, title: title(slug) })), page: { next: found.length > 3 ? hex(after, 8) : null } }
})
app.get('/v2/recipes/:slug', async (request, reply) => {
  if (request.params.slug.startsWith('no-')) return failure(reply, 404, 'NO_RECIPE')
  const variant = variantOf(request)
  return { data: recipe(request.params.slug, variant), meta: { variant } }
})
app.get('/v2/recipes/:slug/reviews', async request => ({ data: reviews(request.params.slug), meta: {} }))
app.get('/v2/menu', async () => ({ data: Array.from({ length: 14 }, (_, n) => ({ slug: slugOf(`menu${n}`), title: title(slugOf(`menu${n}`)), price: number(`menu${n}`, 3000) / 100 })), meta: { day: '2026-11-24' } }))
app.get('/v2/orders/:id', async request => ({ data: { id: request.params.id, state: pick(request.params.id, ['new', 'paid', 'sent']), items: 1 + number(request.params.id, 6), note: chance(request.params.id, 30) ? 'ring twice' : null }, meta: {} }))
app.get('/v2/account', async request => {
  const { account } = request
  request.made = account.asked
  return { data: profile(account.token), meta: {} }
})

// What was made for a key is kept: whoever sends it again gets the same.
const kept = new Map()
app.post('/v2/orders', async (request, reply) => {
  const key = request.headers['idempotency-key']
  const again = kept.has(key)
  if (!again) kept.set(key, { id: hex(`${key}${request.rawText}`, 10), placedAt: new Date().toISOString(), total: number(request.rawText, 9000) / 100 })
  if (!again && config.slow_first && request.rawText.includes('slow')) await sleep(config.slow_first)
  reply.code(201)
  return { data: kept.get(key), meta: {} }
})

const waiting = new Map()
app.get('/v2/kitchens/:kitchen/next-ticket', async request => {
  const { kitchen } = request.params
  const slot = fault.name === 'one-waiter' ? kitchen : request.url // the mistake is the first
  const { own } = request
  const coming = new Promise(resolve => waiting.set(slot, resolve))
  setTimeout(() => {
    const tell = waiting.get(slot)
    waiting.delete(slot)
    const made = { data: ticket(kitchen, request.query.place || '1'), meta: {} }
    if (tell) tell({ made, own })
    else {
      logAnswer(own, 200, JSON.stringify(made))
      log({ fault: 'one-waiter', 'nobody waits for': request.url, at: seconds() })
    }
  }, request.wait || 30)
  const told = await coming
  request.made = told.own
  return told.made
})
app.get('/healthz', async (request, reply) => reply.type('text/plain').send('ok'))
app.get('/readyz', async () => flagged() ? { ready: true, flags: ['nutrition'] } : { ready: true })

app.listen({ port: config.port, host: '0.0.0.0' }).then(() => console.log(`ready: node ${process.version}`))
