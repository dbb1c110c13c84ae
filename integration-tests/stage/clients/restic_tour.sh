#!/usr/bin/env bash
# A tour of S3 with restic: a repository, two backups, its check with all data read, a restore compared with the source.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket=tour-$(tr -dc a-f0-9 </dev/urandom | head -c 12 || true)
export RESTIC_REPOSITORY=s3:s3.us-east-1.amazonaws.com/$bucket RESTIC_PASSWORD=worth-nothing RESTIC_CACHE_DIR=$work/cache

say() { echo "  $*"; }

mkdir -p "$work/tree/grüße"
printf hello >"$work/tree/greeting"
printf wörld >"$work/tree/grüße/日本語 + spaces.txt"
head -c $((64 * 1024 * 1024)) /dev/urandom >"$work/tree/large"
restic() { command restic -q -o s3.region=us-east-1 "$@"; }

restic init
restic backup "$work/tree"
printf hullo >"$work/tree/greeting"
restic backup "$work/tree"
[ "$(restic snapshots --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = 2 ] || exit 1
say "repository in $bucket, two backups of 64 MiB"
restic check --read-data
say 'every pack read and checked'
restic restore latest --target "$work/back"
diff -r "$work/tree" "$work/back$work/tree"
say 'restored, the same'
restic forget --keep-last 1 --prune
restic check
say 'first backup forgotten, repository pruned and checked'
