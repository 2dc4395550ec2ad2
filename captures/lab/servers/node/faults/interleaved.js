'use strict'
// One output buffer that two connections write through at once, as after a double free (S4). The chosen requests meet
// in pairs, and neither pair comes out whole.
//
// First pair: the later one's head is followed by the earlier one's whole message, and only then by its own body; the
// earlier connection gets nothing. Second pair: the earlier one's body breaks off in the middle, and its rest follows the
// later one's answer.

let held = []
let pairs = 0

function head (wire) {
  const headers = Object.keys(wire.headers).map(key => `${key}: ${wire.headers[key]}\r\n`).join('')
  return Buffer.from(`HTTP/1.1 ${wire.status} OK\r\nConnection: close\r\n${headers}\r\n`)
}

exports.answer = context => {
  if (!context.planted) return false
  held.push(context)
  if (held.length < 2) return true
  const [first, second] = held
  held = []
  context.log({ fault: 'interleaved', requests: [first.name, second.name], at: context.seconds() })
  if (pairs++ === 0) interleave(first, second)
  else cut(first, second)
  return true
}

function interleave (first, second) {
  const after = Buffer.concat([head(first.wire), first.wire.body, second.wire.body])
  second.req.socket.end(Buffer.concat([head(second.wire), after]))
  // What the second client reads as its body, and whose most of it is.
  const read = after.slice(0, second.wire.body.length)
  const sha256 = require('crypto').createHash('sha256').update(read).digest('hex')
  first.log(Object.assign({}, first.row, { status: second.wire.status, length: read.length, sha256 }))
}

function cut (first, second) {
  const half = first.wire.body.length >> 1
  first.req.socket.end(Buffer.concat([head(first.wire), first.wire.body.slice(0, half)]))
  second.req.socket.end(Buffer.concat([head(second.wire), second.wire.body, first.wire.body.slice(half)]))
  second.log(second.row)
}
