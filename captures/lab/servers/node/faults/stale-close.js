'use strict'
// A descriptor closed by somebody who no longer owns its number (S1, S2).
//
// {on, after, inherit}: `after` ms into the chosen request, the number of its own connection is closed behind
// libuv's back, as a library does that closes a file twice. With `inherit` (true, or the requests that are meant)
// a child process still holds the socket, so the kernel sends no FIN for it.

const childProcess = require('child_process')
const fs = require('fs')

exports.request = context => {
  if (!context.planted) return
  const { after, inherit } = context.config.fault
  setTimeout(() => {
    const descriptor = context.req.socket._handle.fd
    const held = inherit === true || (inherit && context.matches(inherit, context.name))
    if (held) childProcess.spawn('sleep', ['30'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] })
    fs.closeSync(descriptor)
    context.log({ fault: 'stale-close', request: context.name, descriptor, at: context.seconds() })
  }, after)
}
