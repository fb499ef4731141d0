-- Asks for one path after the other. Arguments: the paths.
function init(args)
  requests = {}
  for i = 1, #args do
    requests[i] = wrk.format("GET", args[i])
  end
  asked = 0
end

function request()
  asked = asked % #requests + 1
  return requests[asked]
end
