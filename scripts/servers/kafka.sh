# shellcheck shell=bash
# One Kafka broker in a directory, its own controller (KRaft): DIR/pid, DIR/log, DIR/port,
# DIR/server.properties (written anew at each start) and its data in DIR/data.

readonly KAFKA_STOP_SECONDS=30
readonly KAFKA_CONTROLLER_PORTS=5 # so many are tried
# Kafka's own choice is G1, for heaps of gigabytes. In one of half a gigabyte the parallel collector has nothing to pause for, and
# takes a tenth of the broker's CPU less.
readonly KAFKA_JVM=(-server -XX:+UseParallelGC -XX:MaxInlineLevel=15 -Xms64m -Djava.awt.headless=true)

# A single machine: no replicas to wait for, no rebalance delay, topics only on purpose, a compaction buffer that
# leaves a small heap room. Anything else is as Kafka ships it; --property overrides any of these.
kafka_properties() { # DIR PORT CONTROLLER_PORT
  cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$1/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
log.cleaner.dedupe.buffer.size=33554432
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END
}

# A later line wins. NAME+=VALUE appends to a list: so a listener is added without knowing the others. What begins with
# SCRAM- is no property but a user, in the words of kafka-storage.
add_property() { # FILE PROPERTY
  local name=${2%%=*}
  case $name in
    SCRAM-*) ;;
    *+) sed -i "s|^${name%+}=.*|&,${2#*=}|" "$1" ;;
    *) printf '%s\n' "$2" >>"$1" ;;
  esac
}

kafka_java() { # ARGUMENT…: leaves the command in KAFKA_COMMAND
  KAFKA_COMMAND=("$(java_command)" -cp "$SERVERS/kafka/*" "$@")
}

# A log directory appears under its name only when it is formatted.
format_storage() { # DIR PROPERTY…
  local dir=$1 new="$1/data.new" cluster property users=()
  shift
  for property in "$@"; do
    if [[ $property == SCRAM-* ]]; then users+=(--add-scram "$property"); fi
  done
  rm -rf -- "$new"
  mkdir -- "$new"
  sed "s|^log\.dirs=.*|log.dirs=$new|" "$dir/server.properties" >"$dir/format.properties"
  # A cluster id is a UUID in URL-safe base64 without padding: 22 characters.
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
  [[ $cluster != -* ]] || cluster="A${cluster:1}"
  kafka_java -Xmx128m -XX:TieredStopAtLevel=1 "-Dlog4j2.configurationFile=$ROOT/scripts/servers/log4j2.properties" \
    kafka.tools.StorageTool format --config "$dir/format.properties" --cluster-id "$cluster" "${users[@]}"
  "${KAFKA_COMMAND[@]}" >>"$dir/log" 2>&1 </dev/null && mv -T -- "$new" "$dir/data"
  rm -f -- "$dir/format.properties"
  [[ -d $dir/data ]]
}

# Answers an ApiVersions request: the broker opens its port for requests only once it is registered and unfenced.
kafka_answers() { # PORT
  local answer
  answer=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    # length 10, key 18, version 0, correlation id "TALY", no client id; the answer is a length and that id
    printf '\x00\x00\x00\x0a\x00\x12\x00\x00TALY\xff\xff' >&3
    timeout 2 head -c 8 <&3 | tail -c 4
  )
  [[ $answer == TALY ]]
}

kafka_is_up_or_dead() { # PORT
  process_is_gone "$PID" "$START" || kafka_answers "$1"
}

start_kafka() { # DIR PORT TIMEOUT HEAP PROPERTY…
  local dir=$1 port=$2 timeout=$3 heap=$4 log="$1/log" offset reason attempt controller
  shift 4
  if record_is_alive "$dir/pid"; then
    [[ $(<"$dir/port") == "$port" ]] || fail "Kafka in $dir runs already, on port $(<"$dir/port")"
    return
  fi
  port_is_free "$port" || fail "port $port is taken by $(port_owner "$port"): Kafka needs it"
  for ((attempt = 1; attempt <= KAFKA_CONTROLLER_PORTS; attempt++)); do
    offset=$(file_size "$log")
    controller=$(free_port)
    spawn_kafka "$dir" "$port" "$controller" "$heap" "$@"
    if wait_until "$timeout" kafka_is_up_or_dead "$port" && process_is_alive "$PID" "$START"; then return; fi
    # The controller's port was free when it was chosen, some seconds before the broker opens it.
    process_is_gone "$PID" "$START" || break
    logged_since "$log" "$offset" "failed to bind to 127.0.0.1:$controller:" || break
  done
  reason=$(start_failure "$timeout")
  show_log_tail "$log" "$offset"
  stop_kafka "$dir" KILL
  fail "Kafka on port $port $reason"
}

spawn_kafka() { # DIR PORT CONTROLLER_PORT HEAP PROPERTY…: leaves the process in PID and START
  local dir=$1 port=$2 heap=$4 log="$1/log" offset property
  offset=$(file_size "$log")
  kafka_properties "$dir" "$port" "$3" >"$dir/server.properties"
  shift 4
  for property in "$@"; do add_property "$dir/server.properties" "$property"; done
  if [[ ! -d $dir/data ]] && ! format_storage "$dir" "$@"; then
    show_log_tail "$log" "$offset"
    fail "Kafka's storage could not be formatted in $dir/data"
  fi
  kafka_java "-Xmx$heap" "${KAFKA_JVM[@]}" "-Dlog4j2.configurationFile=$ROOT/scripts/servers/log4j2.properties" \
    kafka.Kafka "$dir/server.properties"
  spawn "$log" "${KAFKA_COMMAND[@]}"
  write_record "$dir/pid" "$SPAWNED"
  read_record "$dir/pid"
  printf '%s\n' "$port" >"$dir/port"
}

stop_kafka() { # DIR SIGNAL
  stop_record "$1/pid" Kafka "$2" "$KAFKA_STOP_SECONDS"
}

remove_kafka() { # DIR
  stop_kafka "$1" KILL
  rm -rf -- "$1"
}

# A key that a broker on this machine proves itself with, in DIR/broker.p12 (password: tally-test), and its certificate for
# clients, in DIR/ca.pem.
make_certificate() { # DIR
  local keytool
  keytool="$(dirname -- "$(java_command)")/keytool"
  mkdir -p -- "$1"
  "$keytool" -genkeypair -alias broker -keyalg EC -groupname secp256r1 -validity 2 -dname CN=localhost \
    -ext san=dns:localhost,ip:127.0.0.1 -storetype PKCS12 -keystore "$1/broker.p12" -storepass tally-test
  "$keytool" -exportcert -rfc -alias broker -keystore "$1/broker.p12" -storepass tally-test -file "$1/ca.pem"
}
