'use strict'
// One module-wide "current response" (S3, one way).
//
// The chosen requests store their response in a shared variable and answer through it later; a second request
// that arrives in between takes it over, gets the first one's answer, and the second answer finds it ended.

let current = null

exports.request = context => {
  if (context.planted) current = context.res
}

exports.answer = context => {
  if (!context.planted) return false
  const res = current
  if (res !== context.res) context.log({ fault: 'stolen', request: context.name, at: context.seconds() })
  if (res.writableEnded || res.finished) context.log(Object.assign({ discarded: true }, context.row))
  else context.done(res)
  return true
}
