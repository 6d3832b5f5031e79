#!/usr/bin/env bash
# run.sh: builds what crash.py needs and runs it. ROUNDS (50) and SEED (1), or
# --rounds N --seed S; VARIANT=release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
variant=${VARIANT:-release}
make --no-print-directory -s VARIANT="$variant" "build/$variant/invard" \
    "build/$variant/invar"
exec python3 tests/crash/crash.py --invard "build/$variant/invard" \
    --invar "build/$variant/invar" --rounds "${ROUNDS:-50}" \
    --seed "${SEED:-1}" "$@"
