'use strict'
// A second answer to one request (S7): the handler answers, then an error handler writes another one straight to
// the socket, which the next request on the connection takes for its own.

exports.answer = context => {
  if (!context.planted) return false
  const { res, req } = context
  const socket = req.socket
  const extra = context.render({ method: 'GET', headers: {} }, { status: 500, headers: {}, body: { error: { code: 'INTERNAL', message: `late failure of ${context.name}` } } })
  const head = `HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${extra.body.length}\r\n\r\n`
  res.once('finish', () => setTimeout(() => {
    socket.write(Buffer.concat([Buffer.from(head), extra.body]))
    const sha256 = require('crypto').createHash('sha256').update(extra.body).digest('hex')
    context.log(Object.assign({}, context.row, { fault: 'double-answer', status: 500, length: extra.body.length, sha256 }))
  }, context.config.fault.after || 0))
  context.done(res)
  return true
}
