# shellcheck shell=bash
# The servers' binaries: fetched once for each content of pom.xml into .tally/servers/CHECKSUM. The
# directory is renamed into place when it is complete, so an interrupted fetch never looks like a finished one.

readonly POM="$ROOT/scripts/servers/pom.xml"

servers_directory() {
  local checksum
  checksum=$(sha256sum "$POM")
  printf '%s/servers/%s\n' "$STATE" "${checksum:0:16}"
}

servers_are_fetched() { [[ -d $(servers_directory) ]]; }

unpack_servers() { # DIRECTORY
  local directory=$1 archive
  # The repository manager's own output is of interest only when it fails.
  if ! mvn --batch-mode --no-transfer-progress --quiet --strict-checksums -f "$POM" \
    "-Dservers.directory=$directory" package </dev/null >"$directory/maven.log" 2>&1; then
    warn "error: fetching Kafka and PostgreSQL with Maven failed"
    show_log_tail "$directory/maven.log"
    return 1
  fi
  archive=$(find "$directory/archive" -name '*.txz' -print -quit)
  [[ -n $archive ]] || { warn "error: the PostgreSQL artifact holds no archive"; return 1; }
  mkdir "$directory/postgres"
  tar -xJf "$archive" -C "$directory/postgres" --no-same-owner
  rm -rf -- "$directory/archive" "$directory/maven.log"
  # The unprivileged user that PostgreSQL runs as must be able to read it, whatever the umask was.
  chmod -R a+rX "$directory"
}

# Makes sure the binaries are there and leaves their directory in SERVERS.
fetch_servers() {
  local temporary tool
  SERVERS=$(servers_directory)
  [[ -d $SERVERS ]] && return
  for tool in "${FETCH_TOOLS[@]}"; do
    has_tool "$tool" || fail "missing: $(tool_advice "$tool"); scripts/up installs it where apt-get can"
  done
  (umask 022 && mkdir -p "$STATE/servers")
  exec 7>"$STATE/servers/lock"
  flock 7
  if [[ ! -d $SERVERS ]]; then
    warn "fetching Apache Kafka and PostgreSQL (once, about 70 MB)"
    rm -rf -- "$STATE/servers"/fetch-*
    temporary=$(mktemp -d "$STATE/servers/fetch-XXXXXX")
    unpack_servers "$temporary" || { rm -rf -- "$temporary"; exit 1; }
    chmod 755 "$temporary"
    mv -T -- "$temporary" "$SERVERS"
  fi
  exec 7>&-
}
