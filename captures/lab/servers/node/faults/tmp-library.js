'use strict'
// tmp 0.0.33, used as its users did: the handler closes the temporary file's descriptor itself and calls the
// library's cleanup later, which closes the number again. By then it is the next client's connection.

const fs = require('fs')
const tmp = require('tmp')

exports.request = context => {
  if (!context.planted) return
  tmp.file((error, path, descriptor, cleanup) => {
    if (error) throw error
    fs.writeSync(descriptor, context.wire.body)
    fs.closeSync(descriptor)
    context.log({ fault: 'tmp', request: context.name, descriptor, at: context.seconds() })
    setTimeout(cleanup, context.config.fault.after)
  })
}
