'use strict'
// Bodies rendered into one shared buffer that is used again before it was sent (S5).
//
// The chosen requests are rendered at once, wait, and are then sent from the buffer, which by then holds the
// later one's status, headers and body.

const shared = { wire: null, row: null }

exports.request = context => {
  if (!context.planted) return
  shared.wire = context.wire
  shared.row = context.row
}

exports.answer = context => {
  if (!context.planted) return false
  if (shared.wire !== context.wire) context.log({ fault: 'buffer-reuse', request: context.name, at: context.seconds() })
  const mine = context.wire
  Object.assign(mine, { status: shared.wire.status, headers: shared.wire.headers, body: Buffer.from(shared.wire.body) })
  context.send(context.res, mine)
  if (shared.row === context.row) context.log(context.row)
  return true
}
