#!/usr/bin/env bash
# usage: workflows/batch_pairs.sh PAIRS.csv OUT_FOLDER [options of rsdetect detect ...]
# Runs `rsdetect detect` on every pair of the list; what is finished stays, what was interrupted carries on.
set -u
list=${1:?"usage: $0 PAIRS.csv OUT_FOLDER [options ...]"} out=${2:?"usage: $0 PAIRS.csv OUT_FOLDER [options ...]"}
shift 2
rsdetect=$(dirname "$0")/../.venv/bin/rsdetect
[ -x "$rsdetect" ] || rsdetect=rsdetect

worst=0
while IFS=, read -r name before after _; do
  [ -n "$name" ] || continue
  if [ -e "$out/$name/run.json" ]; then
    echo "$name: done before"
    continue
  fi
  echo "$name: $before -> $after"
  "$rsdetect" detect "$before" "$after" --out "$out/$name" "$@" </dev/null
  status=$?
  [ "$status" -eq 0 ] || echo "$name: failed with status $status" >&2
  [ "$status" -le "$worst" ] || worst=$status
done < <(tail -n +2 "$list" | tr -d '\r')
exit "$worst"
