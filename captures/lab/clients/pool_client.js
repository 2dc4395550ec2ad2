'use strict'
// A pool over bare sockets, as services write one for speed, with the usual mistake (K1): a request that took too long
// is rejected, and its socket goes back to the pool though it still owes an answer. A step's `cancel` is the caller's
// patience in seconds; before a `fresh` step all of the pool is closed. Answers have a Content-Length.

const crypto = require('crypto')
const fs = require('fs')
const net = require('net')

const plan = JSON.parse(fs.readFileSync(process.argv[2]))
const logFile = fs.openSync(plan.log, 'a')
const seconds = () => Date.now() / 1000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

function take (socket) {
  const end = socket.held.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = socket.held.slice(0, end).toString()
  const length = Number((/content-length: *(\d+)/i.exec(head) || [0, 0])[1])
  if (socket.held.length < end + 4 + length) return null
  const body = socket.held.slice(end + 4, end + 4 + length)
  socket.held = socket.held.slice(end + 4 + length)
  return { status: Number(head.split(' ')[1]), body }
}

function open () {
  return new Promise((resolve, reject) => {
    const socket = net.connect(plan.to[1], plan.to[0], () => resolve(socket))
    socket.held = Buffer.alloc(0)
    socket.waiting = () => {}
    socket.on('data', data => { socket.held = Buffer.concat([socket.held, data]); socket.waiting() })
    socket.on('close', () => { socket.over = true; socket.waiting() })
    socket.on('error', reject)
  })
}

async function exchange (idle, step) {
  if (step.fresh) for (const old of idle.splice(0)) old.end()
  let socket = idle.pop()
  if (!socket || socket.over) socket = await open()
  const row = { id: step.id, mark: step.mark || null, client: `${socket.localAddress}:${socket.localPort}`, method: step.method, target: step.target, sent: seconds() }
  const headers = Object.assign({ Host: plan.to.join(':') }, step.headers)
  if (step.body) headers['Content-Length'] = Buffer.byteLength(step.body)
  socket.write(`${step.method} ${step.target} HTTP/1.1\r\n${Object.keys(headers).map(key => `${key}: ${headers[key]}\r\n`).join('')}\r\n${step.body || ''}`)
  const patience = (step.cancel || step.timeout) * 1000
  const result = await new Promise(resolve => {
    const timer = setTimeout(() => resolve({ outcome: step.cancel ? 'cancelled' : 'timeout', began: false }), patience)
    socket.waiting = () => {
      const got = take(socket)
      if (!got && !socket.over) return
      clearTimeout(timer)
      resolve(got ? { outcome: 'answered', began: true, status: got.status, length: got.body.length, sha256: crypto.createHash('sha256').update(got.body).digest('hex') } : { outcome: 'closed', began: false })
    }
    socket.waiting()
  })
  socket.waiting = () => {}
  idle.push(socket) // the mistake: whatever it still owes
  return Object.assign(row, result, { ended: seconds() })
}

async function work (worker) {
  const idle = []
  for (const step of worker.steps) {
    await sleep(step.at !== undefined && step.at !== null ? Math.max(0, plan.start + step.at - seconds()) * 1000 : (step.pause || 0) * 1000)
    fs.writeSync(logFile, JSON.stringify(await exchange(idle, step)) + '\n')
  }
  for (const socket of idle) socket.end()
}

Promise.all(plan.workers.map(work))
