'use strict'
// undici with pipelining allowed: a connection for each worker, and mostly one request on it at a time. A step's `burst`
// sends so many together, with {b} in the target counted up. Before a step's request the process computes for `busy`
// seconds, in which it reads nothing. The plan may say how much `pipelining` there is.

const crypto = require('crypto')
const fs = require('fs')
const { Client, buildConnector } = require('undici')

const plan = JSON.parse(fs.readFileSync(process.argv[2]))
const logFile = fs.openSync(plan.log, 'a')
const seconds = () => Date.now() / 1000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function exchange (client, at, step, number) {
  const row = { id: `${step.id}${number ? `+${number}` : ''}`, mark: step.mark || null, client: 'unconnected', method: step.method, target: step.target, sent: seconds() }
  try {
    const answer = await client.request({ method: step.method, path: step.target, headers: step.headers || {}, body: step.body || null, idempotent: step.method === 'GET' })
    const body = Buffer.from(await answer.body.arrayBuffer())
    Object.assign(row, { client: at.address, outcome: 'answered', began: true, status: answer.statusCode, length: body.length, sha256: crypto.createHash('sha256').update(body).digest('hex') })
  } catch (error) {
    Object.assign(row, { client: at.address, outcome: /TIMEOUT/.test(error.code) ? 'timeout' : 'closed', began: false })
  }
  fs.writeSync(logFile, JSON.stringify(Object.assign(row, { ended: seconds() })) + '\n')
  return row
}

async function work (worker) {
  const at = { address: 'unconnected' }
  const connect = buildConnector({})
  let last = null
  const client = new Client(`http://${plan.to.join(':')}`, {
    pipelining: plan.pipelining || 4,
    connect: (options, done) => connect(options, (error, socket) => {
      if (socket) at.address = `${socket.localAddress}:${socket.localPort}`
      done(error, socket)
    })
  })
  // The library ends a connection with an answer that nobody asked for, and does not say what it was.
  client.on('disconnect', (origin, clients, error) => {
    if (last && /bad response|HPE_/.test(`${error.message} ${error.code}`)) fs.writeSync(logFile, JSON.stringify(Object.assign({}, last, { outcome: 'surplus', status: 0, length: 0, sha256: '-', ended: seconds() })) + '\n')
  })
  for (const step of worker.steps) {
    await sleep(step.at !== undefined && step.at !== null ? Math.max(0, plan.start + step.at - seconds()) * 1000 : (step.pause || 0) * 1000)
    for (const until = seconds() + (step.busy || 0); seconds() < until;);
    const done = await Promise.all(Array.from({ length: step.burst || 1 }, (_, number) => exchange(client, at, Object.assign({}, step, { target: step.target.replace('{b}', number + 1) }), number)))
    last = done.at(-1)
  }
  await client.close()
}

Promise.all(plan.workers.map(work))
