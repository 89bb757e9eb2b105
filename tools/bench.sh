#!/usr/bin/env bash
# The measured figures: the comparison against memcpy, one check turn against a fresh process, an idle daemon, ports beside
# hand-written ones, a large checkpoint, the contract's cost, the gate, the whole corpus table.
set -u
cd "$(dirname "$0")/.."
python=build/envs/tools/bin/python
failed=0
build/tests/compare_main || failed=1
$python tests/bench/turn.py || failed=1
$python tests/bench/idle.py || failed=1
$python tests/bench/speed.py || failed=1
$python tests/bench/weights.py || failed=1
$python tests/bench/contract.py --against d0574f9 || failed=1
$python tests/gate/gate.py --table || failed=1
$python tests/bench/corpus.py "$@" || failed=1
exit $failed
