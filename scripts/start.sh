# shellcheck shell=bash
# Finding out what of the stack is missing, building it and starting it.

readonly READY_SECONDS=120

# --- Before anything is built ---------------------------------------------------------------------

# Fills MISSING with what is to be started; says what runs already.
find_missing() {
  local name running=()
  MISSING=()
  for name in "${COMPONENTS[@]}"; do
    if is_running "$name"; then running+=("$name"); else MISSING+=("$name"); fi
  done
  ((${#running[@]} == 0)) || say "running already: ${running[*]}"
}

check_ports() {
  local name address taken=0
  for name in "${MISSING[@]}"; do
    address=$(component_address "$name")
    # One that was killed this moment may hold its port a little longer.
    if ! wait_until 2 port_is_free "${address##*:}"; then
      warn "error: port ${address##*:} is taken by $(port_owner "${address##*:}"): $name needs it ($(port_variable "$name") chooses another)"
      taken=1
    fi
  done
  ((taken == 0)) || exit 1
}

# A smaller --consumers on a running stack means it.
stop_surplus_consumers() {
  local number surplus=()
  for number in $(recorded_consumers); do
    if ((number > CONSUMERS)); then surplus+=("consumer-$number"); fi
  done
  ((${#surplus[@]} > 0)) || return 0
  stop_components "${surplus[@]}"
  say "stopped ${surplus[*]}"
}

# --- Building -------------------------------------------------------------------------------------

# Leaves the directory of the binaries in BINARIES.
build() {
  local target binary status=0
  say "building (release)"
  if [[ -t 2 ]]; then
    run_group cargo build --release --locked --bins || fail "the build failed"
  else
    : >"$LOG/build.log"
    run_group all_output_into "$LOG/build.log" cargo build --release --locked --bins || status=$?
    ((status == 0)) || { show_log_tail "$LOG/build.log"; fail "the build failed"; }
  fi
  # The environment, or a configuration file of cargo's, may put it elsewhere.
  target=$(cargo metadata --no-deps --format-version 1 --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  BINARIES="$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release"
  if [[ $BINARIES != "$ROOT/target/release" ]]; then
    mkdir -p "$ROOT/target/release"
    for binary in producer consumer query-api loader; do
      ln -sfn -- "$BINARIES/$binary" "$ROOT/target/release/$binary"
    done
  fi
}

# What runs on keeps the binary it was started with.
name_outdated() {
  local name
  for name in "${COMPONENTS[@]}"; do
    is_server "$name" || ! is_running "$name" || [[ $(readlink "/proc/$PID/exe") != *' (deleted)' ]] ||
      say "$name runs on with an older build (scripts/down and scripts/up replace it)"
  done
}

# --- Starting -------------------------------------------------------------------------------------

STARTED=()
# How long each log was when its service was started: what an earlier one wrote is not this one's reason.
declare -A LOG_OFFSETS

is_missing() { # NAME
  local name
  for name in "${MISSING[@]}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

start_server() { # NAME
  local name=$1 dir="$DATA_DIRECTORY/$1" address
  address=$(component_address "$name")
  say "starting $name on $address"
  STARTED+=("$name")
  "$CTL" "$name" start --dir "$dir" --port "${address##*:}" 9>&-
  ln -sfn -- "../data/$name/log" "$LOG/$name.log"
  read_record "$dir/pid"
  write_split_record "$RUN/$name.pid" "$PID"
  printf '%s\n' "$address" >"$RUN/$name.address"
}

migrate() {
  local offset
  offset=$(file_size "$LOG/migrate.log")
  say "migrating the database"
  run_group all_output_into "$LOG/migrate.log" "$BINARIES/consumer" migrate || {
    show_log_tail "$LOG/migrate.log" "$offset"
    fail "the database could not be migrated"
  }
}

start_service() { # NAME
  local name=$1 binary=${1%-[0-9]*} log="$LOG/$1.log" address environment=()
  address=$(component_address "$name")
  if [[ $name == consumer-* ]]; then
    environment=("CONSUMER_ADDRESS=$address")
    # A static member has a name of its own.
    [[ -z ${INSTANCE_ID:-} ]] || environment+=("INSTANCE_ID=$INSTANCE_ID-${name#consumer-}")
  fi
  say "starting $name on $address"
  STARTED+=("$name")
  LOG_OFFSETS[$name]=$(file_size "$log")
  spawn "$log" env "${environment[@]}" "$BINARIES/$binary"
  write_split_record "$RUN/$name.pid" "$SPAWNED"
  printf '%s\n' "$address" >"$RUN/$name.address"
}

answers_ready() { # URL
  curl -fs -o /dev/null --noproxy '*' --max-time 2 "$1/health/ready"
}

is_ready_or_dead() { # NAME
  ! is_running "$1" || answers_ready "$(address_url "$(component_address "$1")")"
}

wait_until_ready() { # NAME
  local name=$1 reason="was not ready within $READY_SECONDS s"
  if wait_until "$READY_SECONDS" is_ready_or_dead "$name" && is_running "$name"; then return; fi
  is_running "$name" || reason="ended while it started"
  show_log_tail "$LOG/$name.log" "${LOG_OFFSETS[$name]:-0}"
  fail "$name $reason"
}

start_missing() {
  local name
  for name in postgres kafka; do
    if is_missing "$name"; then start_server "$name"; fi
  done
  migrate
  for name in "${MISSING[@]}"; do is_server "$name" || start_service "$name"; done
  for name in "${COMPONENTS[@]}"; do is_server "$name" || wait_until_ready "$name"; done
}
