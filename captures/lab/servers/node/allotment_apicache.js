'use strict'
// The garden on express with apicache, whose key is the URL: a POST with another body, or by somebody else, is given
// what the first was (kwhitley/apicache#64, #191, #225).

const express = require('express')
const apicache = require('apicache')
const { answer, config, read, tell, token } = require('./allotment.js')

const app = express()
app.use(async (req, res, next) => {
  req.text = await read(req)
  tell(req, req.text)
  next()
})
const reply = (req, res) => {
  const [status, made] = answer(req.method, req.originalUrl, token(req.headers), req.text)
  res.status(status).type('application/json').send(JSON.stringify(made))
}
app.post('/search', apicache.middleware('1 second'), reply)
app.use(reply)
app.disable('x-powered-by')
app.listen(config.port, '0.0.0.0', () => console.log(`ready: node ${process.version}`))
