#!/usr/bin/env bash
# Makes build/envs/real: the torch environment with real packages of models beside it, for tests/bench/coverage.py only.
# Files are shared with build/envs/torch by hard links; pip replaces files and never writes into them.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=build/envs/torch real=build/envs/real wanted=workers/python/requirements/real.txt stubs=tests/bench/stubs
stamp=$(cat "$wanted" "$torch/.stamp" | sha256sum | cut -c1-64)
if [ "$(cat "$real/.stamp.real" 2>/dev/null)" != "$stamp" ]; then
  printf 'real: making %s (%s pinned packages)\n' "$real" "$(grep -c == "$wanted")"
  rm -rf "$real"
  cp -al "$torch" "$real"
  # nothing of what is pinned may bring another torch along, so dependencies are spelled out
  "$real/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$wanted"
fi
cp -r "$stubs"/. "$("$real/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
printf '%s' "$stamp" >"$real/.stamp.real"
