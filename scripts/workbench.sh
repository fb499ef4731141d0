# shellcheck shell=bash
# What bench and chaos share: the release build of everything, servers of their own, and one program that does the
# work. Its standard output is the result, so everything said here goes to standard error.

finish_workbench() {
  local status=$?
  take_away >&2 || status=1
  exit "$status"
}

build_release() {
  say "building (release)"
  run_group cargo build --release --locked --workspace --bins || fail "the build failed"
}

# Where cargo puts it: CARGO_TARGET_DIR, or a configuration file of cargo's, may say elsewhere.
release_directory() {
  local target
  target=$(cargo metadata --no-deps --format-version 1 --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  printf '%s\n' "$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release"
}

run_workbench() { # PROGRAM ARGUMENT…
  local program=$1 binaries argument
  shift
  require_linux
  cd "$ROOT"
  {
    ensure_rust
    ensure_tools "${BUILD_TOOLS[@]}" "${SERVER_TOOLS[@]}"
    [[ $program != bench ]] || ensure_tools wrk chrt
    servers_are_fetched || ensure_tools "${FETCH_TOOLS[@]}"
    build_release
    binaries=$(release_directory)
  } >&2
  # Nothing has to be set up to say how it is used.
  for argument in "$@"; do
    case $argument in -h | --help) exec "$binaries/$program" --help ;; esac
  done
  raise_open_files
  trap finish_workbench EXIT
  trap 'exit 130' INT TERM HUP
  {
    remove_abandoned_directories "$program"
    "$CTL" fetch
    make_own_directory "$program"
    start_own_servers
  } >&2
  run_group env "${OWN_ENVIRONMENT[@]}" "$binaries/$program" "$@"
}
