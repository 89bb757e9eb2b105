#!/usr/bin/env bash
# All tests of `make test`: C units, the Python package in its two environments, then the daemon over HTTP.
# Every part runs even where an earlier one failed; the exit status says whether all passed.
set -u
cd "$(dirname "$0")/.."
export FERRY_TORCH_PY="$PWD/build/envs/torch/bin/python" FERRY_JAX_PY="$PWD/build/envs/jax/bin/python"
export PYTHONPATH="$PWD/workers/python" OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
failed=0
part() { # NAME COMMAND…
  local name=$1 started=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@" || { failed=1; printf '!! %s failed\n' "$name"; }
  printf '== %s took %d s\n' "$name" $((SECONDS - started))
}

part "C units" make -s -j2 unit
lane() { # FOLDER…: tests of the Python package, each folder under the interpreter of its environment
  for folder in "$@"; do
    case $folder in
      prelude | check | deliver) part "$folder (jax environment)" "$FERRY_JAX_PY" -m pytest "tests/python/$folder" ;;
      *) part "$folder (torch environment)" "$FERRY_TORCH_PY" -m pytest "tests/python/$folder" ;;
    esac
  done
  return $failed
}

# Two lanes for two cores: these tests use one each and measure no time.
lane translate mutation >build/translate.log 2>&1 &
lane oracle bugs slicing prelude check deliver
wait $! || failed=1
cat build/translate.log

part "API, road, crash, hostile sources, page (real daemon)" build/envs/tools/bin/python -m pytest tests/api tests/e2e tests/crash tests/abuse tests/gate
part "verdict gate, a fixed part" build/envs/tools/bin/python tests/gate/gate.py --small
part "corpus, a fixed third" build/envs/tools/bin/python tests/bench/corpus.py --third
exit $failed
