'use strict'
// A handler that keeps the event loop busy, so that an idle connection's timer runs before its waiting request is
// read (S9): the socket is closed with the request unread, and the kernel answers with an RST.

exports.request = context => {
  if (!context.planted) return false
  const end = Date.now() + context.config.fault.ms
  context.log({ fault: 'busy', request: context.name, at: context.seconds() })
  while (Date.now() < end); // eslint-disable-line no-empty
  context.done(context.res)
  return true
}
