'use strict'
// A handler that ends the connection instead of answering.
//
// {on, how}: `close` sends a FIN, `reset` an RST (Node 18 and later), `cut` half the body and then a FIN, `stall`
// half the body and then nothing, `exit` ends the whole process. With `once`, only the first time.

let done = false

exports.answer = context => {
  if (!context.planted || (done && context.config.fault.once)) return false
  done = true
  const { how } = context.config.fault
  const socket = context.req.socket
  context.log({ fault: how, request: context.name, at: context.seconds() })
  if (how === 'close') socket.destroy()
  if (how === 'reset') socket.resetAndDestroy()
  if (how === 'exit') process.exit(1)
  if (how === 'cut' || how === 'stall') {
    context.res.writeHead(context.wire.status, context.wire.headers)
    context.res.write(context.wire.body.slice(0, context.wire.body.length >> 1))
    if (how === 'cut') setTimeout(() => socket.destroy(), 100)
  }
  return true
}
