'use strict'
// The garden behind a page server that asks a backend with the pocketbase SDK: one client, and one authStore in it, for
// all requests (wanderer#247). A request that comes while another one is still being handled changes who that one asks as.

const http = require('http')
const PocketBase = require('pocketbase/cjs')
const { config, log, mine, read, seconds, send, sleep, slowness, tell, token } = require('./allotment.js')

const BACKEND = 3999
const shared = new PocketBase(`http://127.0.0.1:${BACKEND}`)
shared.autoCancellation(false)

http.createServer((req, res) => {
  const who = token(req.headers) || req.headers.authorization
  send(res, 200, mine(who))
}).listen(BACKEND, '127.0.0.1')

http.createServer(async (req, res) => {
  const body = await read(req)
  const { status, made } = tell(req, body)
  if (req.url !== '/me' || status !== 200) return send(res, status, made)
  const who = token(req.headers)
  shared.authStore.save(who, null)
  await sleep(slowness('GET /me') || 10) // what else the page needs
  if (shared.authStore.token !== who) log({ fault: 'shared-client', request: who, answered: shared.authStore.token, at: seconds() })
  send(res, 200, await shared.send('/api/me', { method: 'GET' }))
}).listen(config.port, '0.0.0.0', () => console.log(`ready: node ${process.version}`))
