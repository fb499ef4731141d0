-- Asks for the paths of a file, one after the other and then from the first again; each thread begins at a part of its own.
-- Arguments: the file, a path on each line; how many threads wrk has.
local set_up = 0

function setup(thread)
  thread:set("number", set_up)
  set_up = set_up + 1
end

function init(args)
  requests = {}
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  asked = math.floor(#requests * number / tonumber(args[2]))
end

function request()
  asked = asked % #requests + 1
  return requests[asked]
end
