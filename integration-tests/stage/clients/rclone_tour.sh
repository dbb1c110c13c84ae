#!/usr/bin/env bash
# A tour of S3 with rclone: a tree there, checked, changed, synced, copied on the other side, and back.
set -euo pipefail

export RCLONE_CONFIG_AWS_TYPE=s3 RCLONE_CONFIG_AWS_PROVIDER=AWS RCLONE_CONFIG_AWS_ENV_AUTH=true RCLONE_CONFIG_AWS_REGION=us-east-1
# A failure is one: no second chances.
export RCLONE_CONFIG=/dev/null RCLONE_RETRIES=1 RCLONE_LOW_LEVEL_RETRIES=1 RCLONE_S3_CHUNK_SIZE=8Mi RCLONE_S3_UPLOAD_CUTOFF=16Mi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket=tour-$(tr -dc a-f0-9 </dev/urandom | head -c 12 || true)

say() { echo "  $*"; }
fail() { echo "MISMATCH: $*" >&2; exit 1; }

mkdir -p "$work/tree/grüße"
for key in greeting 'with spaces.txt' 'a+b.txt' 'a=b&c.txt' '100%.txt' 'semi;colon,comma.txt' "~tilde'(quote)!*.txt" 'grüße/日本語.txt'; do
    printf '%s' "$key" >"$work/tree/$key"
done
head -c $((64 * 1024 * 1024)) /dev/urandom >"$work/tree/large"

rclone mkdir "aws:$bucket"
[[ $(rclone lsf aws:) == *"$bucket/"* ]] || fail 'the bucket is listed'
rclone copy "$work/tree" "aws:$bucket/tree"
rclone check --download "$work/tree" "aws:$bucket/tree" 2>"$work/said" || fail "the tree checks: $(cat "$work/said")"
say "tree with 64 MiB in parts and odd keys copied to $bucket and checked byte by byte"
rm "$work/tree/a+b.txt"
printf hullo >"$work/tree/greeting"
rclone sync "$work/tree" "aws:$bucket/tree"
[ "$(rclone lsf -R --files-only "aws:$bucket/tree" | sort)" = "$(cd "$work/tree" && find . -type f -printf '%P\n' | sort)" ] ||
    fail 'the list after the sync'
say 'tree synced: one file changed, one gone'
printf slash | rclone rcat "aws:$bucket/double//slash.txt"
[ "$(rclone cat "aws:$bucket/double//slash.txt")" = slash ] || fail 'a stream of unknown length'
say 'a stream put and got'
rclone copyto "aws:$bucket/tree/large" "aws:$bucket/copied" && rclone copyto "aws:$bucket/tree/with spaces.txt" "aws:$bucket/copied + spaces"
[ "$(rclone cat "aws:$bucket/copied + spaces")" = 'with spaces.txt' ] || fail 'copied on the other side'
cmp -s "$work/tree/large" <(rclone cat "aws:$bucket/copied") || fail '64 MiB copied on the other side'
say '64 MiB and a key with spaces copied on the other side'
rclone copy "aws:$bucket/tree" "$work/back"
diff -r "$work/tree" "$work/back" || fail 'the tree back'
say 'tree back, the same'
rclone purge "aws:$bucket"
say 'bucket purged'
