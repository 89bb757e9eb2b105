#!/usr/bin/env bash
# Runs the cmocka programs given as arguments and prints one summary; B names the build folder.
set -u
passed=0 failed=0
for program in "$@"; do
  log=$(mktemp)
  timeout 300 "$program" >"$log" 2>&1
  rc=$?
  ok=$(grep -c '^\[       OK \]' "$log")
  bad=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' "$log")
  if [ $rc != 0 ]; then
    [ "$bad" = 0 ] && bad=1
    printf '== %s (exit %d)\n' "$program" $rc
    tail -n 60 "$log"
  fi
  passed=$((passed + ok)) failed=$((failed + bad))
  rm -f "$log"
done
echo "unit: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
