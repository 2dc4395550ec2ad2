'use strict'
// The allotment garden of python/plots.py in JavaScript: its facts, and the log of what is right.

const { asked, config, fault, log, logAnswer, seconds, sleep, slowness } = require('./served.js')
const { number, pick, hex } = require('./seeded.js')

const NAMES = ['Ada Marsh', 'Bo Lindgren', 'Cy Okafor', 'Dee Tanaka', 'Eli Voss', 'Fay Delacroix']
const plot = name => ({ plot: Number(name), metres: 40 + number(`plot${name}`, 90), soil: pick(`plot${name}`, ['clay', 'loam']) })
const mine = token => ({ name: pick(`me${token}`, NAMES), card: hex(`me${token}`, 8), owes: number(`me${token}`, 90), keys: Array.from({ length: number(`me${token}k`, 3) }, (_, n) => hex(`me${token}${n}`, 4)) })
const found = body => ({ hits: Array.from({ length: 1 + number(body, 4) }, (_, n) => ({ at: hex(body + n, 6), metres: 40 + number(body + n, 90) })), total: number(`${body}t`, 300) })
const token = headers => (headers.authorization || '').replace('Bearer ', '') || null

// The right answer: status and body.
function answer (method, url, who, body) {
  const [kind, id] = url.split('?')[0].split('/').filter(Boolean)
  if (method === 'POST' && kind === 'search') return [200, found(body)]
  if (kind === 'plots' && Number(id) < 9000) return [200, plot(id)]
  if (kind === 'me') return who ? [200, mine(who)] : [401, { detail: 'who asks?' }]
  return [404, { detail: 'no such thing' }]
}

// Log what ought to be answered, whatever is answered in the end.
function tell (req, body) {
  const [status, made] = answer(req.method, req.url, token(req.headers), body)
  logAnswer(asked(req, body), status, JSON.stringify(made))
  return { status, made }
}

function read (req) {
  return new Promise(resolve => {
    const parts = []
    req.on('data', part => parts.push(part))
    req.on('end', () => resolve(Buffer.concat(parts).toString()))
  })
}

function send (res, status, made) {
  const text = JSON.stringify(made)
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  res.end(text)
}

module.exports = { answer, config, fault, log, logAnswer, mine, plot, read, seconds, send, sleep, slowness, tell, token }
