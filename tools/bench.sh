#!/usr/bin/env bash
# The measured figures: the whole corpus table, one check turn against a fresh process, an idle daemon.
set -u
cd "$(dirname "$0")/.."
python=build/envs/tools/bin/python
failed=0
$python tests/bench/turn.py || failed=1
$python tests/bench/idle.py || failed=1
$python tests/gate/gate.py --table || failed=1
$python tests/bench/corpus.py "$@" || failed=1
exit $failed
