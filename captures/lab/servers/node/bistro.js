'use strict'
// A bistro: words that are longer in octets than in characters.

const { number, pick } = require('./seeded.js')

const DISHES = ['Crème brûlée', 'Käsespätzle', 'Smørrebrød', 'Jalapeño-Suppe', 'Bœuf à la mode', 'Piñata', 'Røkt ørret']
const NOTES = ['für zwei Personen', 'très épicé', 'på bestilling', 'con piñones', 'ohne Nüsse']
const json = (status, body) => ({ status, body, headers: {} })

function dish (id) {
  const key = `dish${id}`
  return {
    dish: id,
    name: `${pick(key, DISHES)} n° ${id}`,
    note: pick(`${key}n`, NOTES),
    prices: { petite: 600 + number(key, 700), grande: 1300 + number(key, 900), currency: 'EUR' },
    sides: [0, 1, 2].slice(0, number(`${key}s`, 4)).map(n => ({ name: pick(key + n, ['Brötchen', 'Crudités', 'Gemüse']), grams: 80 + number(key + n, 200) })),
    story: `${pick(`${key}a`, NOTES)}, ${pick(`${key}b`, NOTES)}, ${pick(`${key}c`, NOTES)}, ${pick(`${key}d`, NOTES)}. `.repeat(7)
  }
}

const allergens = id => ({ dish: id, contains: ['Nüsse', 'Molkereiprodukt', 'Blé', 'Œuf', 'Sésame'].filter((_, n) => number(`${id}${n}`, 3)), checked: `2026-1${number(id, 2)}-0${1 + number(id, 8)}` })
const orders = table => Array.from({ length: number(`t${table}`, 5) }, (_, n) => ({ line: n + 1, dish: 1 + number(`${table}${n}`, 400), guests: 1 + number(`${table}g${n}`, 4) }))
const supplier = id => ({ supplier: id, town: pick(id, ['Zürich', 'Besançon', 'Tromsø', 'León']), delivers: ['Mo', 'Mi', 'Fr'].slice(number(id, 3)), rating: number(id, 50) / 10 })

function handle (request) {
  const [kind, id, part] = request.path.split('/').filter(Boolean)
  if (kind === 'menu' && Number(id) < 9000) return json(200, part ? allergens(id) : dish(id))
  if (kind === 'tables') return json(200, orders(id))
  if (kind === 'suppliers') return json(200, supplier(id))
  return json(404, { error: { code: 'INCONNU', message: `« ${request.path} » n'est pas à la carte` } })
}

module.exports = { handle }
