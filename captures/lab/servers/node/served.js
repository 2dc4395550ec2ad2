'use strict'
// What the servers on Node frameworks share: configuration, and a log as server.js writes it.

const crypto = require('crypto')
const fs = require('fs')

const config = JSON.parse(process.env.WF_SERVER)
const fault = config.fault || {}
const logFile = fs.openSync(config.log, 'a')
const seconds = () => Date.now() / 1000
const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))
const short = text => crypto.createHash('sha256').update(text).digest('hex').slice(0, 12)
const log = row => fs.writeSync(logFile, JSON.stringify(row) + '\n')

// The request that a response is made for: what the log tells of it. `body` is its text.
function asked (req, body) {
  const [id, token, cookie] = ['x-request-id', 'authorization', 'cookie'].map(name => req.headers[name] || '')
  return {
    peer: `${req.socket.remoteAddress}:${req.socket.remotePort}`.replace('::ffff:', ''),
    method: req.method,
    target: req.url,
    about: id || body ? short(`${id}\n${body || ''}`) : null,
    who: token || cookie ? short(`${token}\n${cookie}`) : null,
    received: seconds()
  }
}

// Tell which bytes were made for which request.
function logAnswer (made, status, bytes) {
  const sent = made.method === 'HEAD' || status === 204 || status === 304 ? '' : bytes
  log({ ...made, written: seconds(), status, length: Buffer.byteLength(sent), sha256: crypto.createHash('sha256').update(sent).digest('hex') })
}

// As server.js: `METHOD target`, maybe with a final `*`, and maybe a word that must be in the request's body.
function matches (pattern, name, body) {
  const [method, target, word] = pattern.split(' ')
  const wanted = `${method} ${target}`
  return (!word || (body || '').includes(word)) && (wanted === name || (wanted.endsWith('*') && name.startsWith(wanted.slice(0, -1))))
}

function slowness (name, body) {
  const found = Object.keys(config.slow || {}).find(pattern => matches(pattern, name, body))
  return found ? config.slow[found] : 0
}

module.exports = { config, fault, log, logAnswer, asked, slowness, seconds, sleep }
