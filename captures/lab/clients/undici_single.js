'use strict'
// undici as services use it: a connection for each worker, one request on it at a time, kept or reset after each.

const crypto = require('crypto')
const fs = require('fs')
const { Client, buildConnector } = require('undici')

const plan = JSON.parse(fs.readFileSync(process.argv[2]))
const logFile = fs.openSync(plan.log, 'a')
const seconds = () => Date.now() / 1000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const short = text => crypto.createHash('sha256').update(text).digest('hex').slice(0, 12)
const header = (step, name) => Object.entries(step.headers || {}).filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)[0] || ''

// As captures/lab/asked.py: what tells two requests for one target apart.
function told (step) {
  const [id, token, cookie] = ['x-request-id', 'authorization', 'cookie'].map(name => header(step, name))
  return { about: id || step.body ? short(id + '\n' + (step.body || '')) : null, who: token || cookie ? short(`${token}\n${cookie}`) : null }
}

async function exchange (client, at, step, keep) {
  const row = { id: step.id, mark: step.mark || null, client: 'unconnected', method: step.method, target: step.target, ...told(step), sent: seconds() }
  let began = false
  try {
    const answer = await client.request({ method: step.method, path: step.target, headers: step.headers || {}, body: step.body || null, reset: !keep, signal: AbortSignal.timeout(step.timeout * 1000) })
    began = true
    const parts = []
    for await (const part of answer.body) parts.push(part)
    const body = Buffer.concat(parts)
    Object.assign(row, { outcome: 'answered', began, status: answer.statusCode, length: body.length, sha256: crypto.createHash('sha256').update(body).digest('hex') })
  } catch (error) {
    const outcome = error.name === 'TimeoutError' ? 'timeout' : error.code === 'ECONNREFUSED' ? 'refused' : error.code === 'ECONNRESET' ? 'reset' : 'closed'
    Object.assign(row, { outcome, began })
  }
  return Object.assign(row, { client: at.address, ended: seconds() })
}

async function work (worker) {
  const at = { address: 'unconnected' }
  const connect = buildConnector({})
  const client = new Client(`http://${plan.to.join(':')}`, {
    connect: (options, done) => connect(options, (error, socket) => {
      if (socket) at.address = `${socket.localAddress}:${socket.localPort}`
      done(error, socket)
    })
  })
  for (const step of worker.steps) {
    await sleep(step.at !== undefined && step.at !== null ? Math.max(0, plan.start + step.at - seconds()) * 1000 : (step.pause || 0) * 1000)
    for (let attempt = 0; attempt <= (step.retry || 0); attempt++) {
      const row = await exchange(client, at, step, worker.keep && !step.close)
      if (attempt) row.attempt = attempt + 1
      fs.writeSync(logFile, JSON.stringify(row) + '\n')
      if (row.outcome === 'answered') break
    }
  }
  await client.close()
}

Promise.all(plan.workers.map(work))
