# shellcheck shell=bash
# One PostgreSQL in a directory: DIR/pid, DIR/log, DIR/port and its data, in DIR/data or, where the
# unprivileged user that PostgreSQL needs cannot enter DIR, in the directory that DIR/data-location names.

readonly POSTGRES_USER=tally
readonly POSTGRES_STOP_SECONDS=30

# A quarter of the memory, as PostgreSQL's manual advises, and at most what the index of five million order ids needs.
shared_buffers_megabytes() {
  local megabytes
  megabytes=$(awk '/^MemTotal:/ { print int($2 / 4096) }' /proc/meminfo 2>/dev/null || true)
  [[ $megabytes =~ ^[0-9]+$ ]] || megabytes=256
  printf '%s\n' "$((megabytes < 1024 ? megabytes : 1024))"
}

# For two cores shared with Kafka and the services; --setting overrides any of them. Durability stays as it ships.
postgres_default_settings() { # PORT
  cat <<END
listen_addresses=127.0.0.1
port=$1
unix_socket_directories=
max_connections=200
shared_buffers=$(shared_buffers_megabytes)MB
max_wal_size=4GB
timezone=UTC
log_timezone=UTC
END
}

# --- Who it runs as, and where --------------------------------------------------------------------

# PostgreSQL refuses root, so root hands it to a user that has no rights at all.
unprivileged_user() {
  local user
  for user in nobody postgres; do
    if id -u "$user" >/dev/null 2>&1; then
      printf '%s\n' "$user"
      return
    fi
  done
  fail "PostgreSQL refuses to run as root, and there is no user nobody or postgres to run it as"
}

# Fills AS_SERVER, the prefix that runs a command as the server's user; empty unless we are root.
choose_server_user() {
  local user
  AS_SERVER=()
  if ((EUID == 0)); then
    user=$(unprivileged_user)
    SERVER_UID=$(id -u "$user") SERVER_GID=$(id -g "$user")
    AS_SERVER=(setpriv "--reuid=$SERVER_UID" "--regid=$SERVER_GID" --clear-groups --)
  fi
}

server_user_can_use() { # DIR
  "${AS_SERVER[@]}" test -x "$1" && "${AS_SERVER[@]}" test -x "$SERVERS/postgres/bin/postgres"
}

# A directory outside a clone that the server's user cannot enter, with a copy of the binaries beside the data.
make_data_elsewhere() { # DIR
  local place
  place=$(mktemp -d "${TMPDIR:-/tmp}/tally-postgres-XXXXXX")
  chown "$SERVER_UID:$SERVER_GID" "$place"
  if ! "${AS_SERVER[@]}" test -x "$place"; then
    rm -rf -- "$place"
    fail "the user that PostgreSQL runs as can enter neither $1 nor ${TMPDIR:-/tmp}: set TMPDIR to a directory it can"
  fi
  printf '%s\n' "$place" >"$1/data-location"
  warn "PostgreSQL's user cannot enter $1: its data is in $place"
}

# Leaves the data directory in DATA and the binaries in BINARIES.
place_postgres() { # DIR
  local dir=$1 place
  choose_server_user
  DATA="$dir/data" BINARIES="$SERVERS/postgres/bin"
  ((EUID == 0)) || return 0
  if [[ -f $dir/data-location && ! -d $(<"$dir/data-location") ]]; then
    warn "PostgreSQL's data directory $(<"$dir/data-location") has gone: starting with an empty one"
    rm -f -- "$dir/data-location"
  fi
  if [[ ! -f $dir/data-location ]]; then
    server_user_can_use "$dir" && return
    make_data_elsewhere "$dir"
  fi
  place=$(<"$dir/data-location")
  DATA="$place/data" BINARIES="$place/$(basename -- "$SERVERS")/bin"
  if [[ ! -d $BINARIES ]]; then
    rm -rf -- "$place/copy"
    cp -R -- "$SERVERS/postgres" "$place/copy"
    chmod -R a+rX -- "$place/copy"
    mv -T -- "$place/copy" "$(dirname -- "$BINARIES")"
  fi
}

# --- Start ----------------------------------------------------------------------------------------

# A cluster appears under its name only when it is complete: an interrupted initdb is begun again.
create_cluster() { # LOG
  local log=$1 new="$DATA.new"
  rm -rf -- "$new"
  mkdir -m 700 -- "$new"
  ((EUID != 0)) || chown "$SERVER_UID:$SERVER_GID" "$new"
  "${AS_SERVER[@]}" "$BINARIES/initdb" -D "$new" -U "$POSTGRES_USER" --auth=trust --encoding=UTF8 \
    --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --no-instructions >>"$log" 2>&1 </dev/null &&
    "${AS_SERVER[@]}" "$BINARIES/postgres" --single -D "$new" postgres \
      <<<"CREATE DATABASE $POSTGRES_USER" >>"$log" 2>&1 &&
    mv -T -- "$new" "$DATA"
}

# Every PostgreSQL process works in its data directory, also those that outlive a killed postmaster: for a moment,
# or for as long as they are frozen.
cluster_processes() { # DATA
  find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$1" 2>/dev/null | cut -d/ -f3
}

cluster_is_unused() { [[ -z $(cluster_processes "$DATA") ]]; }

# A killed postmaster leaves its lock file, and PostgreSQL will not start over it while any process has that
# number again. We know better: nothing works in this data directory.
clear_stale_lock() {
  [[ -f $DATA/postmaster.pid ]] || return 0
  wait_until 15 cluster_is_unused || { warn "error: another PostgreSQL works in $DATA"; return 1; }
  rm -f -- "$DATA/postmaster.pid"
}

# Accepts a connection as our user to the database of that name: the answer to the startup message begins with R,
# while PostgreSQL still recovers it is an E. The goodbye keeps the log free of complaints.
postgres_accepts() { # PORT
  local answer
  answer=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    # length 20, protocol 3.0, one parameter, end; then X with its length 4
    printf '\x00\x00\x00\x14\x00\x03\x00\x00user\x00%s\x00\x00' "$POSTGRES_USER" >&3
    LC_ALL=C read -r -t 2 -n 1 byte <&3
    printf 'X\x00\x00\x00\x04' >&3
    printf '%s' "$byte"
  )
  [[ $answer == R ]]
}

postgres_is_up_or_dead() { # PORT
  process_is_gone "$PID" "$START" || postgres_accepts "$1"
}

start_postgres() { # DIR PORT TIMEOUT SETTING…
  local dir=$1 port=$2 timeout=$3 log="$1/log" offset reason setting
  local arguments=(-c 'log_line_prefix=%m [%p] %a ')
  shift 3
  if record_is_alive "$dir/pid"; then
    [[ $(<"$dir/port") == "$port" ]] || fail "PostgreSQL in $dir runs already, on port $(<"$dir/port")"
    return
  fi
  port_is_free "$port" || fail "port $port is taken by $(port_owner "$port"): PostgreSQL needs it"
  place_postgres "$dir"
  offset=$(file_size "$log")
  if [[ ! -d $DATA ]] && ! create_cluster "$log"; then
    show_log_tail "$log" "$offset"
    fail "PostgreSQL's data directory could not be created in $DATA"
  fi
  clear_stale_lock
  while read -r setting; do arguments+=(-c "$setting"); done < <(
    postgres_default_settings "$port"
    (($# == 0)) || printf '%s\n' "$@"
  )
  spawn "$log" "${AS_SERVER[@]}" "$BINARIES/postgres" -D "$DATA" "${arguments[@]}"
  write_record "$dir/pid" "$SPAWNED"
  read_record "$dir/pid"
  printf '%s\n' "$port" >"$dir/port"
  if wait_until "$timeout" postgres_is_up_or_dead "$port" && process_is_alive "$PID" "$START"; then return; fi
  reason=$(start_failure "$timeout")
  show_log_tail "$log" "$offset"
  stop_postgres "$dir" immediate
  fail "PostgreSQL on port $port $reason"
}

# --- Stop -----------------------------------------------------------------------------------------

stop_postgres() { # DIR MODE
  local signal=INT
  [[ $2 == fast ]] || signal=QUIT
  stop_record "$1/pid" PostgreSQL "$signal" "$POSTGRES_STOP_SECONDS"
}

remove_postgres() { # DIR
  local place=$1 pid
  if [[ -f $1/data-location ]]; then place=$(<"$1/data-location"); fi
  stop_postgres "$1" immediate
  for pid in $(cluster_processes "$(realpath -- "$place")/data"); do kill -KILL "$pid" 2>/dev/null || true; done
  # Nothing but what make_data_elsewhere made is ever deleted outside DIR.
  [[ $(basename -- "$place") != tally-postgres-* ]] || rm -rf -- "$place"
  rm -rf -- "$1"
}
