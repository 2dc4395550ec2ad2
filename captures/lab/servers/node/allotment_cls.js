'use strict'
// The garden with the current user in cls-hooked, and connections from generic-pool 2, as database drivers had it.
//
// A request that waits for a connection is called back by whoever gives one back, and so in that one's context
// (loopback#2397, node-continuation-local-storage#14): it goes on with the user of another request.

const http = require('http')
const cls = require('cls-hooked')
const { Pool } = require('generic-pool')
const { config, fault, log, mine, read, seconds, send, slowness, tell, token } = require('./allotment.js')

const session = cls.createNamespace('session')
const pool = new Pool({ name: 'database', create: done => done(null, {}), destroy: () => {}, max: 1, min: 1 })

function query (milliseconds, done) {
  pool.acquire((error, connection) => {
    if (error) throw error
    setTimeout(() => {
      pool.release(connection) // whoever waits is called from here
      done()
    }, milliseconds)
  })
}

http.createServer(async (req, res) => {
  const body = await read(req)
  const { status, made } = tell(req, body)
  if (req.url !== '/me' || status !== 200) return send(res, status, made)
  session.run(() => {
    session.set('token', token(req.headers))
    const done = () => {
      const who = session.get('token')
      if (who !== token(req.headers)) log({ fault: 'lost-context', request: token(req.headers), answered: who, at: seconds() })
      send(res, 200, mine(who))
    }
    query(slowness('GET /me') || 15, fault.name === 'lost-context' ? done : session.bind(done))
  })
}).listen(config.port, '0.0.0.0', () => console.log(`ready: node ${process.version}`))
