-- Load for wrk: varied small JSON requests to server.js, in ordinary keep-alive connections.
-- usage: WRK_RESULT=FILE wrk -s load.lua URL -- LIMIT SEED PAUSE_MS CONNECTION
-- After LIMIT requests no more are sent, those in flight are answered, and the connections stay idle until wrk is
-- interrupted: so the capture ends with whole exchanges. FILE gets what wrk counted, as JSON.

local random, format = math.random, string.format
local sent, limit, pause, connection = 0, 0, 0, "keep-alive"
local result 

local agents = {
  "axios/1.6.8", "okhttp/4.12.0", "python-requests/2.31.0", "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
}
local words = { "amber", "basin", "cobalt", "drift", "ember", "fathom", "glacier", "harbor", "inlet", "juniper", "kiln", "lantern" }

local function word() return words[random(#words)] end
local function hex(n)
  local parts = {}
  while n > 0 do
    local take = n < 4 and n or 4
    parts[#parts + 1] = format("%0" .. take .. "x", random(0, 16 ^ take - 1))
    n = n - take
  end
  return table.concat(parts)
end
local function uuid() return hex(8) .. "-" .. hex(4) .. "-4" .. hex(3) .. "-a" .. hex(3) .. "-" .. hex(12) end
local function id() return random(100000, 899999) end

local function new_order()
  local items = {}
  for i = 1, random(2, 7) do
    items[i] = format('{"sku":"SKU-%d-%s","quantity":%d,"title":"%s %s"}', random(10000, 99999), hex(2):upper(), random(5), word(), word())
  end
  return format('{"customerId":%d,"reference":"%s","items":[%s]}', id(), uuid(), table.concat(items, ","))
end
local function event()
  return format('{"kind":"%s","userId":%d,"at":"2024-05-%02dT%02d:%02d:%02d.%03dZ","properties":{"path":"/%s/%s","referrer":"https://%s.example/%s","duration":%d}}',
    ({ "view", "click", "scroll" })[random(3)], id(), random(28), random(0, 23), random(0, 59), random(0, 59), random(0, 999),
    word(), hex(6), word(), hex(12), random(90000))
end

-- weight, method, target, body, a further header
local kinds = {
  { 17, "GET", function() return "/api/v1/users/" .. id() end },
  { 8, "GET", function() return format("/api/v1/users?page=%d&limit=%d", random(4000), random(4, 9)) end },
  { 18, "GET", function() return "/api/v1/orders/" .. id() end },
  { 7, "GET", function() return format("/api/v1/orders/%d/items?limit=%d", id(), random(3, 9)) end },
  { 13, "GET", function() return format("/api/v1/products/SKU-%d-%s", random(10000, 99999), hex(2):upper()) end },
  { 10, "GET", function() return format("/api/v1/search?q=%s+%s&page=%d", word(), word(), random(9)) end },
  { 5, "GET", function() return "/api/v1/sessions/" .. uuid() end },
  { 9, "POST", function() return "/api/v1/orders" end, new_order },
  { 5, "POST", function() return "/api/v1/events" end, event },
  { 2, "PUT", function() return format("/api/v1/users/%d/preferences", id()) end, function() return format('{"locale":"%s","theme":"%s","newsletter":%s}', ({ "de-DE", "fr-FR", "pl-PL" })[random(3)], ({ "light", "dark" })[random(2)], tostring(random(2) == 1)) end },
  { 1, "DELETE", function() return "/api/v1/sessions/" .. uuid() end },
  { 2, "GET", function() return "/api/v1/reports/" .. uuid() end },
  { 1, "GET", function() return "/api/v1/users/" .. random(900000, 999999) end },
  { 1, "GET", function() return "/assets/" .. hex(12) .. ".json" end },
  { 1, "GET", function() return "/api/v1/config" end, nil, { "If-None-Match", 'W/"3c-sS9bZJ0p7yC6mPq0vX1dQ2tR5uE"' } },
}
local draw = {}
for _, kind in ipairs(kinds) do
  for _ = 1, kind[1] do draw[#draw + 1] = kind end
end

function setup(thread)
  -- wrk calls setup() and done() in one state, init() and request() in another
  result = os.getenv("WRK_RESULT")
end

function init(args)
  limit, pause, connection = tonumber(args[1]), tonumber(args[3]), args[4]
  math.randomseed(tonumber(args[2]))
end

function delay()
  if sent >= limit then return 3600000 end
  return pause
end

function request()
  sent = sent + 1
  local kind = draw[random(#draw)]
  local headers = {
    ["Host"] = "api.example", ["Accept"] = "application/json", ["Accept-Encoding"] = "identity", ["User-Agent"] = agents[random(#agents)],
    ["X-Request-Id"] = uuid(), ["Authorization"] = "Bearer " .. hex(40), ["Connection"] = connection,
  }
  local body = kind[4] and kind[4]()
  if body then headers["Content-Type"] = "application/json" end
  if kind[5] then headers[kind[5][1]] = kind[5][2] end
  return wrk.format(kind[2], kind[3](), headers, body)
end

function done(summary)
  local errors = summary.errors
  local file = assert(io.open(result, "w"))
  file:write(format('{"answered": %d, "errors": %d}\n', summary.requests, errors.connect + errors.read + errors.write + errors.timeout))
  file:close()
end
