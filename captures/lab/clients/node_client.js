'use strict'
// Node's http module: an agent per worker, kept alive or not.

const crypto = require('crypto')
const fs = require('fs')
const http = require('http')

const plan = JSON.parse(fs.readFileSync(process.argv[2]))
const logFile = fs.openSync(plan.log, 'a')
// As captures/lab/asked.py: what tells two requests for one target apart.
const about = step => {
  const id = Object.entries(step.headers || {}).filter(([key]) => key.toLowerCase() === 'x-request-id').map(([, value]) => value)[0] || ''
  return id || step.body ? crypto.createHash('sha256').update(id + '\n' + (step.body || '')).digest('hex').slice(0, 12) : null
}
// Likewise: who asks.
const who = step => {
  const header = name => Object.entries(step.headers || {}).filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)[0] || ''
  const [token, cookie] = [header('authorization'), header('cookie')]
  return token || cookie ? crypto.createHash('sha256').update(`${token}\n${cookie}`).digest('hex').slice(0, 12) : null
}
const seconds = () => Date.now() / 1000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

function delay (step) {
  if (step.at !== undefined && step.at !== null) return Math.max(0, plan.start + step.at - seconds())
  return step.pause || 0
}

function exchange (step, agent, keep) {
  return new Promise(resolve => {
    const row = { id: step.id, mark: step.mark || null, client: 'unconnected', method: step.method, target: step.target, about: about(step), who: who(step), sent: seconds() }
    const end = result => resolve(Object.assign(row, result, { ended: seconds() }))
    let began = false
    const headers = Object.assign({}, step.headers)
    if (step.body !== undefined && step.body !== null) headers['Content-Length'] = Buffer.byteLength(step.body)
    const options = { host: plan.to[0], port: plan.to[1], method: step.method, path: step.target, headers, agent: keep ? agent : false }
    if (step.port) options.localPort = step.port
    const request = http.request(options, response => {
      const parts = []
      began = true
      response.on('data', part => parts.push(part))
      response.on('aborted', () => end({ outcome: 'closed', began }))
      response.on('end', () => {
        const body = Buffer.concat(parts)
        end({ outcome: 'answered', began, status: response.statusCode, length: body.length, sha256: crypto.createHash('sha256').update(body).digest('hex') })
      })
    })
    const address = socket => { row.client = `${socket.localAddress}:${socket.localPort}`; row.sent = seconds() }
    request.on('socket', socket => socket.connecting ? socket.once('connect', () => address(socket)) : address(socket))
    const timer = setTimeout(() => { end({ outcome: 'timeout', began }); request.destroy() }, step.timeout * 1000)
    request.on('close', () => clearTimeout(timer))
    request.on('error', error => end({ outcome: error.code === 'ECONNREFUSED' ? 'refused' : error.message === 'socket hang up' ? 'closed' : error.code === 'ECONNRESET' ? 'reset' : 'unreadable', began }))
    request.end(step.body === undefined || step.body === null ? undefined : step.body)
  })
}

async function work (worker) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (const step of worker.steps) {
    await sleep(delay(step) * 1000)
    for (let attempt = 0; attempt <= (step.retry || 0); attempt++) {
      const row = await exchange(step, agent, worker.keep && !step.close)
      if (attempt) row.attempt = attempt + 1
      fs.writeSync(logFile, JSON.stringify(row) + '\n')
      if (row.outcome === 'answered') break
    }
  }
  agent.destroy()
}

Promise.all(plan.workers.map(work))
