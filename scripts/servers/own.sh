# shellcheck shell=bash
# Servers of one's own for a run of tests, benchmarks or faults: one Kafka and one PostgreSQL on free ports below
# .tally/NAME-…, and the certainty that nothing of the run is left when it ends, however it ends. Sourced, after lib.sh.

readonly CTL="$ROOT/scripts/servers/ctl"
readonly LEFTOVER_SECONDS=5

# The run's directory; its processes have it in their environment as TALLY_TEST_DIR.
OWN_DIR=''

# What runs on behalf of a directory: it has the directory in its environment, or works in it (PostgreSQL
# overwrites its environment with its title).
own_processes() { # DIR
  {
    grep -lzsxF -- "TALLY_TEST_DIR=$1" /proc/[0-9]*/environ | cut -d/ -f3 || true
    find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$1/*" 2>/dev/null | cut -d/ -f3 || true
  } | sort -un
}

has_no_processes() { [[ -z $(own_processes "$1") ]]; }

stop_recorded() { # DIR: of one server or process
  if [[ -f $1/server.properties ]]; then
    "$CTL" kafka remove --dir "$1"
  elif [[ -f $1/port ]]; then
    "$CTL" postgres remove --dir "$1"
  else
    stop_record "$1/pid" "$1" TERM 10
  fi
}

# What its makers recorded is stopped properly; what then is left is named and killed by its id.
remove_own_directory() { # DIR
  local dir=$1 pid
  while read -r pid; do stop_recorded "$(dirname -- "$pid")" || true; done < <(
    find "$dir" -maxdepth 4 -name data -prune -o -name pid -type f -print
  )
  if ! wait_until "$LEFTOVER_SECONDS" has_no_processes "$dir"; then
    for pid in $(own_processes "$dir"); do
      warn "left running, killed: process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"
      kill -KILL "$pid" 2>/dev/null || true
    done
    wait_until "$LEFTOVER_SECONDS" has_no_processes "$dir" || { warn "error: processes of $dir cannot be killed"; return 1; }
  fi
  rm -rf -- "$dir"
}

# A run that was itself killed could not do it: the next one does.
remove_abandoned_directories() { # NAME
  local dir
  for dir in "$STATE/$1"-*/; do
    dir=${dir%/}
    if [[ ! -d $dir ]] || record_is_alive "$dir/owner"; then continue; fi
    say "removing what an earlier run left in $dir"
    remove_own_directory "$dir"
  done
}

# Leaves the new directory in OWN_DIR.
make_own_directory() { # NAME
  local new
  mkdir -p "$STATE"
  new=$(mktemp -d "$STATE/new-$1-XXXXXX")
  # PostgreSQL's user passes through it.
  chmod 755 "$new"
  # It gets its name with its owner in it: without one, another run would take it for abandoned.
  write_record "$new/owner" "$$"
  OWN_DIR="$STATE/${new##*/new-}"
  mv -T -- "$new" "$OWN_DIR"
}

# One broker and one database for the whole run. Leaves what finds them in OWN_ENVIRONMENT.
start_own_servers() { # [CTL-POSTGRES-OPTION…]
  local kafka_port postgres_port
  kafka_port=$("$CTL" free-port) postgres_port=$("$CTL" free-port)
  # Not exported: own_processes would find this script's own helpers by it.
  OWN_ENVIRONMENT=(
    "TALLY_TEST_DIR=$OWN_DIR"
    "TALLY_SERVERS_CTL=$CTL"
    "TALLY_TEST_KAFKA=127.0.0.1:$kafka_port"
    "TALLY_TEST_DATABASE_URL=postgres://tally@127.0.0.1:$postgres_port/tally"
  )
  "$CTL" postgres start --dir "$OWN_DIR/postgres" --port "$postgres_port" "$@"
  "$CTL" kafka start --dir "$OWN_DIR/kafka" --port "$kafka_port"
}

# For a trap on EXIT: takes everything away. Returns 1 where that could not be done.
take_away() {
  trap '' INT TERM HUP
  end_group
  [[ -z $OWN_DIR ]] || remove_own_directory "$OWN_DIR"
}
