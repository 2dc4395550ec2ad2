'use strict'
// A members' web site: HTML, redirects and a login, NDJSON, images, event streams, an echoing WebSocket.

const crypto = require('crypto')
const { number, pick, hex } = require('./seeded')

const page = (title, rest) => `<!doctype html>\n<html lang="en"><head><title>${title}</title></head><body><h1>${title}</h1>${rest}</body></html>\n`
const html = (status, body, headers) => ({ status, body, type: 'text/html; charset=utf-8', headers: headers || {} })

function image (id) {
  const bytes = crypto.createHash('sha512').update(id).digest()
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...Array.from({ length: 6 + number(id, 30) }, () => bytes)])
}

// A page that only its member may be given; `shared` are those of whom the header was forgotten.
function account (member, now, config) {
  const headers = (config.shared || []).includes(member) ? {} : { 'Cache-Control': 'private' }
  return html(200, page('Your account', `<p>Member ${member}</p><p>${now.toISOString()}</p>`), headers)
}

function handle (request, config) {
  const { method, path, now, headers, query } = request
  const at = path.split('/').filter(Boolean)
  const member = /session=([0-9a-f]+)/.exec(headers.cookie || '')
  if (path === '/') return html(200, page('Ranch Members', '<p>Welcome.</p>'), { 'Cache-Control': 'max-age=60', ETag: '"front-1"' })
  if (at[0] === 'login' && method === 'POST') return { status: 303, body: null, headers: { Location: '/account', 'Set-Cookie': `session=${hex(request.body, 16)}; HttpOnly; Path=/` } }
  if (at[0] === 'login') return html(200, page('Log in', '<form method="post"><input name="user"></form>'))
  if (at[0] === 'account' && !member) return { status: 302, body: null, headers: { Location: '/login' } }
  if (at[0] === 'account') return account(member[1], now, config)
  if (at[0] === 'old') return { status: 301, body: null, headers: { Location: `/news/${at[1]}` } }
  if (at[0] === 'news') {
    if (headers['if-none-match'] === `"${hex(path, 8)}"`) return { status: 304, body: null, headers: { ETag: headers['if-none-match'] } }
    return html(200, page(`News ${at[1]}`, `<p>${pick(path, ['Hay prices', 'Open day', 'New fence'])}</p>`.repeat(1 + number(path, 9))), { ETag: `"${hex(path, 8)}"` })
  }
  if (at[0] === 'images') return { status: 200, body: image(at[1]), type: 'image/png', headers: {} }
  if (at[0] === 'archive') return { status: 200, body: Buffer.concat(Array.from({ length: 64 }, (_, n) => Buffer.alloc(8192, hex(path + n, 32)))), type: 'application/zip', headers: {} }
  if (at[0] === 'export') {
    const rows = Array.from({ length: 3 + number(path, 12) }, (_, n) => JSON.stringify({ row: n, member: hex(path + n, 6), joined: 2000 + number(path + n, 26) }))
    return { status: 200, body: rows.join('\n') + '\n', type: 'application/x-ndjson', headers: {}, chunked: true }
  }
  if (at[0] === 'status' && method === 'DELETE') return { status: 204, body: null, headers: {} }
  if (at[0] === 'status') return { status: 200, body: { up: true, load: number(String(now.getTime()), 100) / 100 }, headers: {} }
  if (at[0] === 'settings' && method === 'PUT') return { status: 200, body: { saved: at[1], bytes: request.body.length, at: now.toISOString() }, headers: {} }
  if (at[0] === 'live') {
    const count = Number(query.get('events') || 3)
    return { status: 200, body: Array.from({ length: count }, (_, n) => `id: ${n}\nevent: position\ndata: {"trailer":"${at[1]}","km":${number(path + n, 300)}}\n\n`).join(''), type: 'text/event-stream', headers: { 'Cache-Control': 'no-store' }, chunked: true, between: 250 }
  }
  return html(404, page('Not found', `<p>${path}</p>`))
}

// A WebSocket that sends every frame back, unmasked.
function upgrade (req, socket) {
  const key = crypto.createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`)
  socket.on('data', frame => {
    const length = frame[1] & 127
    const mask = frame.slice(2, 6)
    const text = Buffer.from(frame.slice(6, 6 + length).map((byte, n) => byte ^ mask[n % 4]))
    socket.write(Buffer.concat([Buffer.from([frame[0], length]), text]))
  })
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
}

module.exports = { handle, upgrade }
