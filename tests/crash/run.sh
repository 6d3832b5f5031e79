#!/usr/bin/env bash
# run.sh: builds what the crash tests need and runs them: random kills during
# writes (crash.py; ROUNDS=50), and kills at every step of a model upgrade
# (upgrade.py; KILLS of each, a tenth of the rounds and at least 2). SEED=1,
# VARIANT=release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
variant=${VARIANT:-release}
rounds=${ROUNDS:-50}
kills=${KILLS:-$((rounds < 20 ? 2 : rounds / 10))}
make --no-print-directory -s VARIANT="$variant" "build/$variant/invard" \
    "build/$variant/invar"
programs=(--invard "build/$variant/invard" --invar "build/$variant/invar"
    --seed "${SEED:-1}")
export PYTHONDONTWRITEBYTECODE=1
code=0
python3 tests/crash/crash.py "${programs[@]}" --rounds "$rounds" || code=$?
python3 tests/crash/upgrade.py "${programs[@]}" --kills "$kills" || code=$?
exit $code
