#!/usr/bin/env bash
# usage: workflows/batch_pairs.sh PAIRS.csv OUT_FOLDER [options of rsdetect batch ...]
# Runs a list of pairs on a Dask cluster of worker processes on this machine; a second call does what is left.
set -euo pipefail
list=${1:?"usage: $0 PAIRS.csv OUT_FOLDER [options ...]"} out=${2:?"usage: $0 PAIRS.csv OUT_FOLDER [options ...]"}
shift 2
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$here/local_cluster.py" batch "$list" --out "$out" "$@"
