#!/usr/bin/env bash
# Installs what ferryd needs: Debian packages and the pinned Python environments below build/envs.
# Idempotent; says what it does. EXTRA and EXTRA_JAX add packages to the torch and the jax environment.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  gcc clang make pkg-config libc6-dev
  libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libsqlite3-dev libuv1-dev
  libseccomp-dev libarchive-dev libinih-dev libssl-dev
  bubblewrap libcmocka-dev pmccabe clang-format libclang-rt-14-dev
  python3-venv curl sqlite3 chromium chromium-driver
)

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

install_packages() {
  local missing=() name
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | awk '$2 == "installed" { print $1 }')
  for name in "${packages[@]}"; do
    grep -qx "$name" <<<"$installed" || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return
  local root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing Debian packages: ${missing[*]} (neither root nor sudo here: ask an administrator to install them)"
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq || die "apt-get update failed"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 /usr/bin/python3.11; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  die "Python 3.11 is missing (set PYTHON to its path)"
}

# make_env NAME [EXTRA PACKAGE…]
make_env() {
  local name=$1 dir=build/envs/$1 wanted=workers/python/requirements/$1.txt
  shift
  local stamp extra="$*"
  stamp=$(sha256sum <"$wanted" | cut -c1-64)
  if [ ! -x "$dir/bin/python" ] || [ "$(cat "$dir/.stamp" 2>/dev/null)" != "$stamp" ]; then
    say "making the $name environment ($(grep -c == "$wanted") pinned packages; minutes on a slow line)"
    rm -rf "$dir"
    "$(find_python)" -m venv "$dir"
    "$dir/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted" 2>"$dir/pip.log" ||
      die "pip failed for the $name environment: $(tail -n 3 "$dir/pip.log")"
    printf '%s' "$stamp" >"$dir/.stamp"
  fi
  if [ -n "$extra" ]; then
    say "adding to the $name environment: $extra"
    # shellcheck disable=SC2086
    "$dir/bin/python" -m pip install -q --disable-pip-version-check $extra || die "pip failed for: $extra"
  fi
}

install_packages
make_env torch ${EXTRA:-}
make_env jax ${EXTRA_JAX:-}
make_env tools
say "all there"
