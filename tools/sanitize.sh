#!/usr/bin/env bash
# The API tests against the sanitized daemons; a report of a sanitizer ends the daemon, and so the tests, with an error.
set -u
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp"
failed=0
for kind in asan tsan; do
  echo "== API tests, build/$kind"
  FERRYD="$PWD/build/$kind/ferryd" build/envs/tools/bin/python -m pytest tests/api || failed=1
done
exit $failed
