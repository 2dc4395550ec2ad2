'use strict'
// A handler that never ends (S8): the answer waits for a promise that nothing settles.

exports.request = context => {
  if (!context.planted) return false
  context.log({ fault: 'silent', request: context.name, at: context.seconds() })
  return true
}
