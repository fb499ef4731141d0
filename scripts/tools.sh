# shellcheck shell=bash
# The tools that a fresh machine may lack: found, installed by apt-get where that is allowed, else named with
# what to do. Rust is never installed: which toolchain one has is one's own business.

readonly MINIMUM_JAVA=17

java_command() {
  if [[ -n ${JAVA_HOME:-} && -x $JAVA_HOME/bin/java ]]; then
    printf '%s\n' "$JAVA_HOME/bin/java"
  else
    command -v java
  fi
}

# 17, or 1 for the times of "1.8"; nothing where there is no Java.
java_major_version() {
  local java
  java=$(java_command) || return 0
  "$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1
}

has_tool() { # TOOL
  local version
  case $1 in
    java)
      version=$(java_major_version)
      ((${version:-0} >= MINIMUM_JAVA)) ;;
    cc) command -v cc || command -v gcc || command -v clang ;;
    c++) command -v c++ || command -v g++ || command -v clang++ ;;
    libssl) pkg-config --exists openssl 2>/dev/null ;;
    browser) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    *) command -v "$1" ;;
  esac >/dev/null
}

# What to install for it, as Debian and its relatives call it.
tool_package() { # TOOL
  case $1 in
    java)
      if apt-cache show openjdk-21-jre-headless >/dev/null 2>&1; then
        echo openjdk-21-jre-headless
      else
        echo openjdk-17-jre-headless
      fi ;;
    mvn) echo maven ;;
    cc | c++ | make) echo build-essential ;;
    libssl) echo libssl-dev ;;
    xz) echo xz-utils ;;
    setsid | flock | setpriv | chrt) echo util-linux ;;
    browser) echo chromium ;;
    chromedriver) echo chromium-driver ;;
    *) echo "$1" ;;
  esac
}

tool_advice() { # TOOL
  case $1 in
    java) echo "Java $MINIMUM_JAVA or newer (Kafka runs on it; JAVA_HOME chooses one)" ;;
    mvn) echo "Maven (it fetches Kafka and PostgreSQL)" ;;
    cc | c++ | make) echo "$1 (the Kafka client library and the allocator are built with it: a C and C++ compiler and make)" ;;
    pkg-config | libssl) echo "$1 (the Kafka client's TLS: OpenSSL's headers and pkg-config, which finds them; libssl-dev or openssl-devel)" ;;
    browser) echo "Chromium (the page's tests run in it)" ;;
    wrk) echo "wrk (scripts/bench loads the services with it)" ;;
    chromedriver) echo "chromedriver, of the browser's version (the page's tests drive it)" ;;
    *) echo "$1" ;;
  esac
}

run_as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

apt_is_allowed() {
  command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }
}

apt_install() { # TOOL…
  local log="$STATE/log/apt.log" tool packages=()
  mkdir -p "$STATE/log"
  {
    # An old list names versions that are no longer served.
    run_as_root apt-get -q -o DPkg::Lock::Timeout=120 update || return 1
    for tool in "$@"; do packages+=("$(tool_package "$tool")"); done
    run_as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "${packages[@]}"
  } >"$log" 2>&1 </dev/null
}

# Makes sure of TOOLs, or fails naming every one that is missing.
ensure_tools() { # TOOL…
  local tool missing=()
  for tool in "$@"; do has_tool "$tool" || missing+=("$tool"); done
  ((${#missing[@]} > 0)) || return 0
  if apt_is_allowed; then
    say "installing ${missing[*]} (apt-get; log: $STATE/log/apt.log)"
    apt_install "${missing[@]}" || show_log_tail "$STATE/log/apt.log"
    hash -r
  fi
  missing=()
  for tool in "$@"; do has_tool "$tool" || missing+=("$tool"); done
  ((${#missing[@]} > 0)) || return 0
  for tool in "${missing[@]}"; do warn "missing: $(tool_advice "$tool")"; done
  fail "install what is missing and run this again"
}

ensure_rust() {
  # rustup puts cargo there, and not every shell has it on its path.
  command -v cargo >/dev/null || PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
  command -v cargo >/dev/null || fail "Rust is missing: install it with rustup (https://rustup.rs) and run this again"
}

readonly BUILD_TOOLS=(cc c++ make pkg-config libssl)
readonly SERVER_TOOLS=(java setsid flock)
# Only until the servers have been fetched.
readonly FETCH_TOOLS=(mvn tar xz)

require_linux() {
  [[ $(uname -s) == Linux ]] ||
    fail "Kafka and PostgreSQL are started natively on Linux only; elsewhere use scripts/up --docker"
}
