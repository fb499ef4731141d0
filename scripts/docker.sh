# shellcheck shell=bash
# The same stack in containers, for machines without Java and Maven, or without Linux.

# Left by up --docker, so that a plain down knows what to stop.
readonly DOCKER_MARK="$STATE/docker"

runs_in_docker() { [[ -f $DOCKER_MARK ]]; }

# The plugin, or the program it was before.
choose_compose() {
  if docker compose version >/dev/null 2>&1; then
    COMPOSE=(docker compose)
  elif command -v docker-compose >/dev/null; then
    COMPOSE=(docker-compose)
  else
    fail "docker compose is missing: install Docker with its compose plugin"
  fi
  COMPOSE+=(--project-directory "$ROOT" --file "$ROOT/docker-compose.yml")
}

require_docker() {
  command -v docker >/dev/null || fail "docker is missing: install it, or use scripts/up without --docker"
  docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer (docker info says why)"
  choose_compose
}

docker_up() { # CONSUMERS
  local port
  : "${PRODUCER_PORT:=8080}" "${QUERY_API_PORT:=8081}" "${CONSUMER_PORT:=8082}"
  export PRODUCER_PORT QUERY_API_PORT CONSUMER_PORTS="$CONSUMER_PORT-$((CONSUMER_PORT + MAXIMUM_CONSUMERS - 1))"
  say "building the image and starting the containers"
  mkdir -p "$STATE"
  : >"$DOCKER_MARK"
  run_group "${COMPOSE[@]}" up --build --detach --scale "consumer=$1" || fail "the containers could not be started"
  # Not compose's --wait: some versions take a migration that ended, as it should, for a failure.
  for port in "$PRODUCER_PORT" "$CONSUMER_PORT" "$QUERY_API_PORT"; do
    wait_until "$READY_SECONDS" answers_ready "http://127.0.0.1:$port" ||
      fail "nothing is ready on port $port after $READY_SECONDS s: ${COMPOSE[*]} logs"
  done
}

# The loader of the image, reading a file of this machine; the file keeps its path as its name, so that
# loading it again counts nothing twice.
docker_loader() { # FILE: leaves the command in LOADER
  LOADER=("${COMPOSE[@]}" run --rm --no-deps -T --volume "$1:/input:ro" loader --json --source "$1" /input)
}

docker_generator() { # leaves the command, but for its arguments, in LOADER
  LOADER=("${COMPOSE[@]}" run --rm --no-deps -T loader)
}

docker_down() { # WIPE
  local options=()
  require_docker
  [[ $1 == false ]] || options=(--volumes)
  "${COMPOSE[@]}" down --remove-orphans "${options[@]}"
  rm -f -- "$DOCKER_MARK"
}
