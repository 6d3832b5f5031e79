#!/usr/bin/env bash
# loc.sh: how large the project is: lines per folder (code: without blank lines
# and comments) and its ten longest functions (pmccabe). For the documents.
set -euo pipefail
cd "$(dirname "$0")"

export PYTHONDONTWRITEBYTECODE=1
python3 lint/sources.py count
echo
python3 lint/functions.py --longest
