# shellcheck shell=bash
# What every script here shares: messages, processes that are known by more than their number, ports, waiting.
# Sourced, never run. It knows nothing of Kafka, PostgreSQL or the services.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly ROOT
readonly STATE="$ROOT/.tally"

# --- Messages -------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
fail() { warn "error: $*"; exit 1; }

# The end of a log, for whoever has to find out why. OFFSET skips what earlier runs wrote.
show_log_tail() { # FILE [OFFSET]
  local file=$1 offset=${2:-0}
  [[ -s $file ]] || return 0
  warn "--- the end of $file"
  tail -c "+$((offset + 1))" -- "$file" | tail -n 20 >&2
  warn "---"
}

logged_since() { # FILE OFFSET TEXT
  tail -c "+$(($2 + 1))" -- "$1" | grep -F -- "$3" >/dev/null
}

file_size() { stat -c %s -- "$1" 2>/dev/null || echo 0; }

# --- Waiting --------------------------------------------------------------------------------------

readonly POLL_SECONDS=0.1

# Polls until COMMAND succeeds; fails at the deadline.
wait_until() { # SECONDS COMMAND…
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep "$POLL_SECONDS"
  done
}

# --- Processes ------------------------------------------------------------------------------------
#
# A process is its id and the time it started: ids are reused, the pair is not. A record is either one
# file "PID START", or NAME.pid with the bare id (for `kill $(cat …)`) beside NAME.start.

# Prints "STATE START" of a process (fields 3 and 22 of its stat line; the name before may hold anything).
process_stat() { # PID
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086 # split on purpose
  set -- ${line##*) }
  printf '%s %s\n' "$1" "${20}"
}

# A zombie is dead: where nothing reaps orphans, it would otherwise look alive for ever.
process_is_alive() { # PID START
  local state start
  [[ -n ${1:-} && -n ${2:-} ]] || return 1
  read -r state start < <(process_stat "$1") || return 1
  [[ $start == "$2" && $state != [ZX] ]]
}

process_is_gone() { ! process_is_alive "$@"; }

# Reads a record into PID and START; both empty where there is none.
read_record() { # FILE
  PID='' START=''
  [[ -f $1 ]] || return 0
  read -r PID START <"$1" || true
  if [[ -z $START && -f ${1%.pid}.start ]]; then read -r START <"${1%.pid}.start" || true; fi
}

write_record() { # FILE PID: one file
  local start
  start=$(process_stat "$2") || start=''
  printf '%s %s\n' "$2" "${start#* }" >"$1"
}

write_split_record() { # FILE.pid PID: the bare id, and its start time beside it
  local start
  start=$(process_stat "$2") || start=''
  printf '%s\n' "${start#* }" >"${1%.pid}.start"
  printf '%s\n' "$2" >"$1"
}

drop_record() { rm -f -- "$1" "${1%.pid}.start"; }

record_is_alive() { # FILE
  read_record "$1"
  process_is_alive "$PID" "$START"
}

# "ended while it started", or that it was too slow: for a start that failed.
start_failure() { # SECONDS
  if process_is_alive "$PID" "$START"; then
    printf 'did not come up within %s s\n' "$1"
  else
    printf 'ended while it started\n'
  fi
}

# Signals a recorded process if it still is the one that was recorded.
signal_record() { # FILE SIGNAL
  record_is_alive "$1" && kill -s "$2" "$PID" 2>/dev/null
}

# Waits for what was asked to stop, and kills what has not gone by then (saying so).
await_end() { # FILE NAME SECONDS
  local file=$1 name=$2
  read_record "$file"
  if ! wait_until "$3" process_is_gone "$PID" "$START"; then
    warn "$name (process $PID) has not stopped in time: killing it"
    signal_record "$file" KILL || true
    wait_until 10 process_is_gone "$PID" "$START" || { warn "error: $name (process $PID) cannot be killed"; return 1; }
  fi
  drop_record "$file"
}

# Nothing running is fine.
stop_record() { # FILE NAME SIGNAL SECONDS
  signal_record "$1" "$3" || true
  await_end "$1" "$2" "$4"
}

# Starts COMMAND in a session of its own, so that a terminal's Ctrl-C reaches only whoever started it, and
# without any of the caller's file descriptors: a server that kept a lock's would hold the lock for its life.
# Leaves the process id in SPAWNED.
spawn() { # LOG COMMAND…
  local log=$1
  shift
  (
    trap - INT TERM EXIT
    for descriptor in "/proc/$BASHPID/fd"/*; do
      descriptor=${descriptor##*/}
      if ((descriptor > 2)); then eval "exec $descriptor>&-"; fi
    done
    exec setsid "$@"
  ) </dev/null >>"$log" 2>&1 &
  SPAWNED=$!
  disown "$SPAWNED"
}

# Runs COMMAND in a process group of its own and waits for it: unlike a plain foreground command it does not make
# bash put off its traps until the command ends, and end_group reaches all that it started.
GROUP=''
run_group() { # COMMAND…
  local status=0
  set -m
  "$@" </dev/null &
  GROUP=$!
  set +m
  wait "$GROUP" || status=$?
  GROUP=''
  return "$status"
}

# For run_group, whose own output must stay where it is: a trap that runs meanwhile would print into the file.
output_into() { # FILE COMMAND…
  local file=$1
  shift
  exec "$@" >"$file"
}

all_output_into() { # FILE COMMAND…
  local file=$1
  shift
  exec "$@" >>"$file" 2>&1
}

group_is_gone() { ! kill -0 -- "-$GROUP" 2>/dev/null; }

end_group() {
  [[ -n $GROUP ]] || return 0
  kill -TERM -- "-$GROUP" 2>/dev/null || true
  wait_until 5 group_is_gone || kill -KILL -- "-$GROUP" 2>/dev/null || true
  GROUP=''
}

# --- Ports ----------------------------------------------------------------------------------------

# The inodes of sockets that listen where a server on 127.0.0.1:PORT would (also on all addresses).
listening_inodes() { # PORT
  local port
  printf -v port '%04X' "$1"
  awk -v port="$port" '
    $4 == "0A" {
      split($2, local, ":")
      if (local[2] != port) next
      any = local[1] ~ /^0+$/
      loopback = local[1] ~ /7F$/ && length(local[1]) == 8
      mapped = local[1] ~ /^0000000000000000FFFF0000/
      if (any || loopback || mapped) print $10
    }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

port_is_free() { [[ -z $(listening_inodes "$1") ]]; }

# "process 42 (postgres)", as far as this user may know.
port_owner() { # PORT
  local inode link pid
  for inode in $(listening_inodes "$1"); do
    link=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null) || true
    [[ -n $link ]] || continue
    pid=${link#/proc/}
    pid=${pid%%/*}
    printf 'process %s (%s)\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
    return
  done
  printf 'a process of another user\n'
}

# A random one, so that two who ask at once rarely get the same; below the range that outgoing connections use.
free_port() {
  local port attempt
  for ((attempt = 0; attempt < 200; attempt++)); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if port_is_free "$port"; then
      printf '%s\n' "$port"
      return
    fi
  done
  fail "no free port between 20000 and 32000"
}

# --- Limits ---------------------------------------------------------------------------------------

# Many systems allow 1,024 open files unless asked, which a broker's segments or a thousand connections use up.
raise_open_files() {
  local wanted=65536 hard
  hard=$(ulimit -Hn)
  if [[ $hard != unlimited ]] && ((hard < wanted)); then wanted=$hard; fi
  [[ $(ulimit -Sn) == unlimited ]] || (($(ulimit -Sn) >= wanted)) || ulimit -Sn "$wanted"
}
