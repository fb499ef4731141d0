# shellcheck shell=bash
# Loading a file and waiting until every answer has it. The loader says which position each partition reached
# with its last acknowledged order, and the query API up to which position its answers go: compared, they tell
# exactly when all of the file is visible, however much else is going on.

readonly NO_PROGRESS_SECONDS=60

# The loader's JSON summary while a load goes on.
SUMMARY=''

# Asks one of our own services; with API keys that needs one that may read. A file, for a command line can be read by all.
ask() { # CURL_ARGUMENT…
  if [[ -n ${API_KEY:-} ]]; then
    curl -fsS --noproxy '*' --header @<(printf 'x-api-key: %s\n' "$API_KEY") "$@"
  else
    curl -fsS --noproxy '*' "$@"
  fi
}

# JSON of our own services, on one line and without blanks, for the patterns below.
flat_json() { tr -d ' \n\r\t'; }

# "0:123" a line, from "last_offsets":{"0":123,…}
loaded_positions() { # SUMMARY_FILE
  flat_json <"$1" | sed -n 's/.*"last_offsets":{\([^}]*\)}.*/\1/p' | tr ',' '\n' | tr -d '"'
}

# "0:124" a line, from "positions":{"orders/0":{"next_offset":124,…},…}
visible_positions() { # QUERY_URL
  local topic=${KAFKA_TOPIC:-orders}
  ask --max-time 5 "$1/health" 2>/dev/null | flat_json |
    grep -o "\"${topic//./\\.}/[0-9]*\":{[^}]*}" |
    sed -n 's|^"[^"]*/\([0-9]*\)":.*"next_offset":\([0-9]*\).*|\1:\2|p'
}

# How many records are still to come, over all partitions.
missing_records() { # LOADED VISIBLE
  awk -F: -v loaded="$1" -v visible="$2" 'BEGIN {
    split(visible, lines, "\n")
    for (i in lines) { split(lines[i], pair, ":"); seen[pair[1]] = pair[2] }
    split(loaded, lines, "\n")
    for (i in lines) {
      if (split(lines[i], pair, ":") == 2 && pair[2] > seen[pair[1]] + 0) missing += pair[2] - seen[pair[1]]
    }
    printf "%d\n", missing
  }'
}

seconds_since() { # MICROSECONDS
  local now=${EPOCHREALTIME/[.,]/}
  printf '%d.%d\n' $(((now - $1) / 1000000)) $(((now - $1) % 1000000 / 100000))
}

# A killed service is no reason to give up: scripts/up from another shell starts it again.
warn_of_ended() {
  local name
  for name in $(recorded_components); do
    if ! is_running "$name" && [[ -z ${WARNED[$name]:-} ]]; then
      WARNED[$name]=yes
      warn "  $name has ended (scripts/up in another shell starts it again; its log: $LOG/$name.log)"
    fi
  done
}

wait_until_visible() { # SUMMARY_FILE QUERY_URL BEGIN
  local loaded missing last='' deadline=0 show_at=$((SECONDS + 1))
  local -A WARNED
  loaded=$(loaded_positions "$1")
  [[ -n $loaded ]] || flat_json <"$1" | grep -q '"accepted":0[,}]' ||
    fail "the loader accepted orders but named no positions: $(flat_json <"$1")"
  while true; do
    missing=$(missing_records "$loaded" "$(visible_positions "$2" || true)")
    ((missing > 0)) || break
    if [[ $missing != "$last" ]]; then deadline=$((SECONDS + NO_PROGRESS_SECONDS)); fi
    ((SECONDS < deadline)) ||
      fail "nothing became visible for $NO_PROGRESS_SECONDS s: $missing records to go (is a consumer running? its log: $LOG/consumer-1.log)"
    # Each second while it moves, now and then while it does not.
    if ((SECONDS >= show_at)); then
      say "  $missing records to go, $(seconds_since "$3") s"
      show_at=$((SECONDS + (missing == last ? 10 : 1)))
      warn_of_ended
    fi
    last=$missing
    sleep 0.2
  done
}

# Loads with COMMAND, which prints the loader's JSON summary, and waits. Returns the loader's status: 0, or 2
# where lines were rejected (it has shown them); anything else ends the script.
load() { # NAME QUERY_URL COMMAND…
  local name=$1 url=$2 begin=${EPOCHREALTIME/[.,]/} status=0
  shift 2
  mkdir -p "$RUN"
  SUMMARY=$(mktemp "$RUN/load-XXXXXX")
  say "loading $name"
  run_group output_into "$SUMMARY" "$@" || status=$?
  ((status == 0 || status == 2)) ||
    fail "$name could not be loaded to its end (loading it again counts nothing twice)"
  say "  acknowledged after $(seconds_since "$begin") s: $(flat_json <"$SUMMARY")"
  wait_until_visible "$SUMMARY" "$url" "$begin"
  say "  all of it is in the answers after $(seconds_since "$begin") s"
  rm -f -- "$SUMMARY"
  SUMMARY=''
  return "$status"
}

show_answer() { # URL
  say "$1"
  ask --max-time 10 "$1" || warn "no answer"
  printf '\n'
}
