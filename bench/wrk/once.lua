-- Asks for each order of a file once. Arguments: the file, an id on each line; how many threads wrk has.
local set_up = 0

function setup(thread)
  thread:set("number", set_up)
  set_up = set_up + 1
end

function init(args)
  local threads = tonumber(args[2])
  local line = 0
  ids = {}
  for id in io.lines(args[1]) do
    if line % threads == number then ids[#ids + 1] = id end
    line = line + 1
  end
  asked = 0
end

function request()
  asked = asked + 1
  return wrk.format("GET", "/orders/" .. ids[asked])
end
