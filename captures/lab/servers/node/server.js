'use strict'
// One API behind this Node's own http module, with at most one planted bug.
// WF_SERVER holds {api, port, log, slow, fault, options}: see captures/README.md.

const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const zlib = require('zlib')

const config = JSON.parse(process.env.WF_SERVER)
const api = require(`./${config.api}.js`)
const fault = config.fault ? require(`./faults/${config.fault.name}.js`) : {}
const logFile = fs.openSync(config.log, 'a')

const seconds = () => Date.now() / 1000
const sha256 = bytes => crypto.createHash('sha256').update(bytes).digest('hex')
// As captures/lab/asked.py: what tells two requests for one target apart.
const about = (headers, body) => headers['x-request-id'] || body.length ? sha256(Buffer.concat([Buffer.from((headers['x-request-id'] || '') + '\n'), body])).slice(0, 12) : null

function log (row) {
  fs.writeSync(logFile, JSON.stringify(row) + '\n')
}

// What goes on the wire for an answer: status, headers and the encoded body.
function render (request, answer) {
  const headers = Object.assign({}, config.headers, answer.headers)
  let body = answer.body
  if (body === null || body === undefined) body = Buffer.alloc(0)
  else if (!Buffer.isBuffer(body)) {
    if (typeof body !== 'string') body = JSON.stringify(body)
    body = Buffer.from(body)
    headers['Content-Type'] = answer.type || 'application/json; charset=utf-8'
  } else headers['Content-Type'] = answer.type || 'application/octet-stream'
  const accepted = request.headers['accept-encoding'] || ''
  if (body.length > 400 && /\bbr\b/.test(accepted)) {
    body = zlib.brotliCompressSync(body)
    headers['Content-Encoding'] = 'br'
  } else if (body.length > 400 && /\bgzip\b/.test(accepted)) {
    body = zlib.gzipSync(body)
    headers['Content-Encoding'] = 'gzip'
  }
  const bodiless = request.method === 'HEAD' || answer.status === 204 || answer.status === 304
  if (answer.status !== 204 && answer.status !== 304 && !answer.chunked) headers['Content-Length'] = announced(request, answer, body)
  return { status: answer.status, headers, body: bodiless ? Buffer.alloc(0) : body, chunked: answer.chunked && !bodiless, between: answer.between }
}

// The length that is announced; in octets, unless the scenario has it counted otherwise (`lengths`: {on, by}).
function announced (request, answer, body) {
  const { on, by } = config.lengths || {}
  if (!on || !matches(on, `${request.method} ${request.target}`)) return body.length
  const text = JSON.stringify(answer.body)
  return by === 'characters' ? text.length : Buffer.byteLength(text) // else: taken before the body was compressed
}

function send (res, wire) {
  res.writeHead(wire.status, wire.headers)
  if (!wire.chunked) return res.end(wire.body)
  const pieces = []
  for (let at = 0; at < wire.body.length; at += 300) pieces.push(wire.body.slice(at, at + 300))
  if (wire.between) return trickle(res, pieces, wire.between)
  for (const piece of pieces) res.write(piece)
  res.end()
}

function trickle (res, pieces, between) {
  if (!pieces.length) return res.end()
  res.write(pieces.shift())
  setTimeout(trickle, between, res, pieces, between)
}

function serve (req, res, body) {
  const cut = req.url.indexOf('?')
  const request = {
    method: req.method,
    target: req.url,
    path: cut < 0 ? req.url : req.url.slice(0, cut),
    query: new URLSearchParams(cut < 0 ? '' : req.url.slice(cut)),
    headers: req.headers,
    body: (body || '').toString(),
    now: new Date()
  }
  const name = `${request.method} ${request.target}`
  const wire = render(request, api.handle(request, config))
  const framed = wire.body.slice(0, wire.headers['Content-Length']) // what a client takes for the body
  const row = { peer: req.peer, method: req.method, target: req.url, about: body ? about(req.headers, body) : undefined, received: req.received, status: wire.status, length: framed.length, sha256: sha256(framed) }
  const done = to => {
    row.written = seconds()
    row.socket = to.socket ? 'attached' : 'gone'
    to.once('finish', () => log({ finish: name, at: seconds(), responseSocket: to.socket ? 'attached' : 'null', requestSocketDestroyed: req.socket.destroyed }))
    send(to, wire)
    log(row)
  }
  const context = { name, request, req, res, wire, done, send, log, row, seconds, render, matches, config, planted: config.fault && matches(config.fault.on, name, request) }
  const wait = slowness(name, request)
  if (config.hints && matches(config.hints, name)) res.writeEarlyHints({ link: '</app.css>; rel=preload; as=style' })
  if (fault.request && fault.request(context)) return
  setTimeout(() => { if (!(fault.answer && fault.answer(context))) done(res) }, wait)
}

// A pattern is `METHOD target`, maybe with a final `*`, and maybe a word that must be in the request's body or id.
function matches (on, name, request) {
  return on === undefined || [].concat(on).some(one => {
    const [method, target, word] = one.split(' ')
    if (word && !(request && (request.body.includes(word) || request.headers['x-request-id'] === word))) return false
    const wanted = `${method} ${target}`
    return wanted === name || (wanted.endsWith('*') && name.startsWith(wanted.slice(0, -1)))
  })
}

function slowness (name, request) {
  for (const one of Object.keys(config.slow || {})) if (matches(one, name, request)) return config.slow[one]
  return config.wait || 0
}

const server = http.createServer(config.create || {}, (req, res) => {
  const parts = []
  req.received = seconds()
  req.peer = req.socket.peer
  if (config.early && matches(config.early, `${req.method} ${req.url}`)) { // an answer that does not wait for the body
    req.resume()
    return serve(req, res, null)
  }
  req.on('data', part => parts.push(part))
  req.on('end', () => serve(req, res, Buffer.concat(parts)))
})
server.on('connection', socket => {
  socket.peer = `${socket.remoteAddress}:${socket.remotePort}`.replace('::ffff:', '')
})
// Refuse a body before it was sent, and keep the connection: the client has announced what it will not send.
if (config.refuse) {
  server.on('checkContinue', (req, res) => {
    const wire = render({ method: req.method, headers: {} }, { status: 403, headers: {}, body: { error: { code: 'FORBIDDEN', message: 'not your horse' } } })
    log({ peer: req.socket.peer, method: req.method, target: req.url, received: seconds(), status: 403, length: wire.body.length, sha256: sha256(wire.body) })
    send(res, wire)
  })
}
if (api.upgrade) {
  server.on('upgrade', (req, socket) => {
    log({ peer: socket.peer, method: req.method, target: req.url, received: seconds(), status: 101, length: 0, sha256: sha256('') })
    api.upgrade(req, socket)
  })
}
Object.assign(server, config.options || {})
if (fault.server) fault.server(server, config, log)
server.listen(config.port, '0.0.0.0', config.backlog || 511, () => console.log(`ready: node ${process.version}`))
process.on('uncaughtException', error => log({ uncaught: String(error && error.stack) }))
