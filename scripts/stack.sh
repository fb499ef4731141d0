# shellcheck shell=bash
# The running stack as up and down see it: what belongs to it, where each part listens, what runs, how it stops.

readonly RUN="$STATE/run"
readonly LOG="$STATE/log"
readonly DATA_DIRECTORY="$STATE/data"
readonly CTL="$ROOT/scripts/servers/ctl"
readonly STOP_SECONDS=30
readonly MAXIMUM_CONSUMERS=64

# --- Settings -------------------------------------------------------------------------------------

# KEY=VALUE lines of the clone's .env; what the caller's environment has wins.
read_env_file() {
  local line key value
  [[ -f $ROOT/.env ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#export }
    [[ $line =~ ^([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    value=${value%"${value##*[![:space:]]}"}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
    # An empty one is a setting left open, not an empty setting.
    [[ -z $value || -v $key ]] || export "$key=$value"
  done <"$ROOT/.env"
}

# As the caller says; else where it was last, until scripts/down: one that was killed comes back to where the others
# look for it; else the default.
choose_address() { # NAME ADDRESS PORT DEFAULT_PORT
  if [[ -n $2 ]]; then
    printf '%s\n' "$2"
  elif [[ -n $3 ]]; then
    printf '127.0.0.1:%s\n' "$3"
  elif [[ -s $RUN/$1.address ]]; then
    cat -- "$RUN/$1.address"
  else
    printf '127.0.0.1:%s\n' "$4"
  fi
}

choose_server_port() { # NAME PORT DEFAULT
  local address
  address=$(choose_address "$1" '' "$2" "$3")
  printf '%s\n' "${address##*:}"
}

# Everything a service needs to find the others, where the caller has not said otherwise.
complete_settings() {
  KAFKA_PORT=$(choose_server_port kafka "${KAFKA_PORT:-}" 19092)
  POSTGRES_PORT=$(choose_server_port postgres "${POSTGRES_PORT:-}" 15432)
  export KAFKA_BROKERS=${KAFKA_BROKERS:-127.0.0.1:$KAFKA_PORT}
  export DATABASE_URL=${DATABASE_URL:-postgres://tally@127.0.0.1:$POSTGRES_PORT/tally}
  PRODUCER_ADDRESS=$(choose_address producer "${PRODUCER_ADDRESS:-}" "${PRODUCER_PORT:-}" 8080)
  QUERY_API_ADDRESS=$(choose_address query-api "${QUERY_API_ADDRESS:-}" "${QUERY_API_PORT:-}" 8081)
  CONSUMER_ADDRESS=$(choose_address consumer-1 "${CONSUMER_ADDRESS:-}" "${CONSUMER_PORT:-}" 8082)
  export PRODUCER_ADDRESS QUERY_API_ADDRESS CONSUMER_ADDRESS
  export PUBLIC_QUERY_URL=${PUBLIC_QUERY_URL:-$(address_url "$QUERY_API_ADDRESS")}
}

# Where a client on this machine reaches ADDRESS.
address_url() { # HOST:PORT
  local host=${1%:*}
  case $host in 0.0.0.0 | '[::]') host=127.0.0.1 ;; esac
  printf 'http://%s:%s\n' "$host" "${1##*:}"
}

# Where a component listens; or will, if it does not run.
component_address() { # NAME
  if [[ -s $RUN/$1.address ]] && is_running "$1"; then
    cat -- "$RUN/$1.address"
    return
  fi
  case $1 in
    postgres) printf '127.0.0.1:%s\n' "$POSTGRES_PORT" ;;
    kafka) printf '127.0.0.1:%s\n' "$KAFKA_PORT" ;;
    producer) printf '%s\n' "$PRODUCER_ADDRESS" ;;
    query-api) printf '%s\n' "$QUERY_API_ADDRESS" ;;
    consumer-*) printf '%s:%s\n' "${CONSUMER_ADDRESS%:*}" "$((${CONSUMER_ADDRESS##*:} + ${1#consumer-} - 1))" ;;
  esac
}

# The variable that moves it.
port_variable() { # NAME
  case $1 in
    consumer-*) echo CONSUMER_PORT ;;
    query-api) echo QUERY_API_PORT ;;
    *) printf '%s_PORT\n' "${1^^}" ;;
  esac
}

# How many consumers: as asked, else as remembered, else one.
choose_consumers() { # [N]
  mkdir -p "$STATE"
  if [[ -n ${1:-} ]]; then printf '%s\n' "$1" >"$STATE/consumers"; fi
  CONSUMERS=1
  [[ ! -s $STATE/consumers ]] || read -r CONSUMERS <"$STATE/consumers"
}

# What belongs to the stack, in the order in which it starts. A broker or a database that the caller named is his.
choose_components() {
  local number here='(127\.0\.0\.1|localhost)'
  COMPONENTS=()
  if [[ $DATABASE_URL =~ [@/]$here:$POSTGRES_PORT([/?]|$) ]]; then COMPONENTS+=(postgres); fi
  if [[ $KAFKA_BROKERS =~ ^$here:$KAFKA_PORT$ ]]; then COMPONENTS+=(kafka); fi
  COMPONENTS+=(producer)
  for ((number = 1; number <= CONSUMERS; number++)); do COMPONENTS+=("consumer-$number"); done
  COMPONENTS+=(query-api)
}

# --- What runs ------------------------------------------------------------------------------------

is_server() { [[ $1 == postgres || $1 == kafka ]]; }

is_running() { record_is_alive "$RUN/$1.pid"; } # NAME

# Names with a record, running or not.
recorded_components() {
  local file
  for file in "$RUN"/*.pid; do
    file=${file##*/}
    [[ $file == '*.pid' ]] || printf '%s\n' "${file%.pid}"
  done
}

recorded_consumers() { recorded_components | sed -n 's/^consumer-\([0-9]*\)$/\1/p' | sort -n; }

# --- The lock -------------------------------------------------------------------------------------

# Held on descriptor 9 while something is started or stopped, not while up only watches.
take_lock() {
  mkdir -p "$STATE" "$RUN" "$LOG"
  exec 9>"$STATE/lock"
  if ! flock -n 9; then
    say "waiting for another scripts/up or scripts/down to finish"
    flock 9
  fi
}

release_lock() { exec 9>&-; }

# Whether somebody else is starting or stopping something right now.
lock_is_held() { ! flock -n "$STATE/lock" true; }

# --- Stopping -------------------------------------------------------------------------------------

stop_server() { # NAME
  local options=()
  [[ $1 == kafka ]] || options=(--mode fast)
  "$CTL" "$1" stop --dir "$DATA_DIRECTORY/$1" "${options[@]}" 9>&- || return 1
  drop_record "$RUN/$1.pid"
}

# The services all at once, for none needs another in order to stop; then what they write to. One that cannot
# be stopped keeps none of the others running.
stop_components() { # NAME…
  local name server status=0 deadline=$((SECONDS + STOP_SECONDS))
  for name in "$@"; do
    is_server "$name" || signal_record "$RUN/$name.pid" TERM || true
  done
  for name in "$@"; do
    is_server "$name" || await_end "$RUN/$name.pid" "$name" "$((deadline - SECONDS))" || status=1
    rm -f -- "$RUN/$name.address"
  done
  for server in kafka postgres; do
    for name in "$@"; do
      [[ $name != "$server" ]] || stop_server "$name" || status=1
    done
  done
  return "$status"
}

# Prints what it stopped; nothing if nothing ran.
stop_stack() {
  local name running=() services=() status=0
  while read -r name; do
    is_server "$name" || services+=("$name")
    if is_running "$name"; then running+=("$name"); fi
  done < <(recorded_components)
  # The servers also where their start was interrupted before it was recorded here.
  stop_components "${services[@]}" kafka postgres || status=1
  ((${#running[@]} == 0)) || say "stopped ${running[*]}"
  return "$status"
}
