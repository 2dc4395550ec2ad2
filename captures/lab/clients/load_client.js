'use strict'
// A load that goes on for long: requests drawn from a pool, at a steady rate, on kept and on short connections.
//
// The plan has {pool, special, exchanges, workers, rate, timeout}: `special` maps the number of an exchange to the
// request that takes its place.

const crypto = require('crypto')
const fs = require('fs')
const http = require('http')

const plan = JSON.parse(fs.readFileSync(process.argv[2]))
const log = fs.createWriteStream(plan.log, { flags: 'a' })
const seconds = () => Date.now() / 1000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
let next = 0
let state = plan.seed

// A small generator of its own, so that one seed always gives one load.
function draw (limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor(state / 4294967296 * limit)
}

function exchange (number, step, agent) {
  return new Promise(resolve => {
    const row = { id: String(number), mark: step.mark || null, client: 'unconnected', method: step.method, target: step.target, sent: seconds() }
    let done = false
    let began = false
    const end = result => {
      if (done) return
      done = true
      clearTimeout(timer)
      resolve(Object.assign(row, result, { ended: seconds() }))
    }
    const headers = Object.assign({}, step.headers)
    if (step.body) headers['Content-Length'] = Buffer.byteLength(step.body)
    const request = http.request({ host: plan.to[0], port: plan.to[1], method: step.method, path: step.target, headers, agent: step.mark ? false : agent }, response => {
      const hash = crypto.createHash('sha256')
      let length = 0
      began = true
      response.on('data', part => { hash.update(part); length += part.length })
      response.on('aborted', () => end({ outcome: 'closed', began }))
      response.on('end', () => end({ outcome: 'answered', began, status: response.statusCode, length, sha256: hash.digest('hex') }))
    })
    const timer = setTimeout(() => { end({ outcome: 'timeout', began }); request.destroy() }, plan.timeout * 1000)
    const address = socket => { row.client = `${socket.localAddress}:${socket.localPort}`; row.sent = seconds() }
    request.on('socket', socket => socket.connecting ? socket.once('connect', () => address(socket)) : address(socket))
    request.on('error', error => end({ outcome: error.code === 'ECONNREFUSED' ? 'refused' : error.message === 'socket hang up' ? 'closed' : error.code === 'ECONNRESET' ? 'reset' : 'unreadable', began }))
    request.end(step.body || undefined)
  })
}

async function work (number) {
  const agent = number % 2 ? false : new http.Agent({ keepAlive: true, maxSockets: 1 })
  await sleep(Math.max(0, plan.start - seconds()) * 1000)
  while (next < plan.exchanges) {
    const mine = next++
    const step = plan.special[mine] || plan.pool[draw(plan.pool.length)]
    const row = await exchange(mine, step, agent)
    if (!log.write(JSON.stringify(row) + '\n')) await new Promise(resolve => log.once('drain', resolve))
    await sleep(-Math.log(1 - draw(1e6) / 1e6) * 1000 * plan.workerCount / plan.rate)
  }
  if (agent) agent.destroy()
}

Promise.all(Array.from({ length: plan.workerCount }, (_, n) => work(n))).then(() => log.end())
