#!/usr/bin/env bash
# The API tests against the sanitized daemons of a folder (default: build); a report of a sanitizer ends the daemon, and so
# the tests, with an error.
set -u
cd "$(dirname "$0")/.."
folder="$(realpath "${1:-build}")"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# the longest history: a suppression only matches a stack that TSan still knows
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:history_size=7:suppressions=$PWD/tests/tsan.supp"
failed=0
for kind in asan tsan; do
  echo "== API tests, $folder/$kind"
  FERRYD="$folder/$kind/ferryd" build/envs/tools/bin/python -m pytest tests/api || failed=1
done
exit $failed
