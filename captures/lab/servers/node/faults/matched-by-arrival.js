'use strict'
// Results matched to requests by order of arrival instead of by id (S3, crossed).
//
// The chosen requests go to a pool of workers that finish in their own time; whoever finishes first is handed
// to the request that has waited longest.

const waiting = []

exports.request = context => {
  if (context.planted) waiting.push(context.res)
}

exports.answer = context => {
  if (!context.planted) return false
  const res = waiting.shift()
  if (res !== context.res) context.log({ fault: 'crossed', request: context.name, at: context.seconds() })
  context.done(res)
  return true
}
