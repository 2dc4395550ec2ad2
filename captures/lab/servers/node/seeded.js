'use strict'
// Stable invented facts: the same key always gives the same answer, as a database would.

const crypto = require('crypto')

function number (key, limit) {
  return crypto.createHash('md5').update(key).digest().readUInt32BE(0) % limit
}

function pick (key, choices) {
  return choices[number(key, choices.length)]
}

function hex (key, length) {
  return crypto.createHash('sha1').update(key).digest('hex').slice(0, length)
}

function chance (key, percent) {
  return number(key, 100) < percent
}

module.exports = { number, pick, hex, chance }
