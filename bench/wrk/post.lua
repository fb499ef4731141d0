-- Posts orders, no two with the same id. Arguments: a prefix that no other run has.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  prefix = string.format("%s-%d", args[1], number)
  sent = 0
  headers = { ["content-type"] = "application/json" }
end

function request()
  sent = sent + 1
  local user = sent * 7919 % 20000
  local cents = sent % 100
  local body = string.format(
    '{"order_id":"%s-%d","user_id":"user-%06d","currency":"USD","items":[{"sku":"sku-%04d","name":"Kettle, steel","quantity":2,"unit_price":"12.%02d"}]}',
    prefix, sent, user, sent % 1000, cents)
  return wrk.format("POST", "/orders", headers, body)
end
