'use strict'
// The ranch with an archive of its own traffic: bodies, in both directions, that are HTTP messages word for word.

const ranch = require('./ranch.js')
const { number } = require('./seeded')

function transcript (id, now) {
  const pieces = []
  for (let n = 0; n <= number(`pieces${id}`, 8); n++) {
    const path = ['/api/v1/horses/ID', '/api/v1/horses/ID/vet-report', '/api/v1/dispatches/5ID'][number(`kind${id}${n}`, 3)].replace('ID', 100 + number(`id${id}${n}`, 800))
    const answer = ranch.handle({ method: 'GET', path, query: new URLSearchParams(), now })
    const body = JSON.stringify(answer.body)
    pieces.push(`GET ${path} HTTP/1.1\r\nHost: 172.31.16.10:8080\r\n\r\n`)
    pieces.push(`HTTP/1.1 ${answer.status} OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }
  return pieces.join('')
}

function handle (request) {
  const [kind, id] = request.path.split('/').filter(Boolean)
  if (kind === 'transcripts' && request.method === 'POST') return { status: 201, headers: {}, body: { stored: request.body.length, at: request.now.toISOString() } }
  if (kind === 'transcripts') return { status: 200, headers: {}, type: 'message/http', chunked: number(`chunked${id}`, 2) === 0, body: transcript(id, request.now) }
  if (kind === 'uploads') return { status: 202, headers: {}, body: { upload: Number(id), accepted: true, at: request.now.toISOString() } }
  return ranch.handle(request)
}

module.exports = { handle }
