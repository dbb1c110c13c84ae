#!/usr/bin/env bash
# A tour of AWS with its command line: the same as the boto3 tours, for version 1 and version 2.
# Usage: cli_tour.sh AWS-BINARY
set -euo pipefail

aws=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket=tour-$(tr -dc a-f0-9 </dev/urandom | head -c 12 || true)
export AWS_PAGER=

say() { echo "  $*"; }
fail() { echo "MISMATCH: $*" >&2; exit 1; }
same() { cmp -s "$1" "$2" || fail "$3"; say "$3"; }

say "$("$aws" --version 2>&1 | cut -d' ' -f1)"
say "$("$aws" sts get-caller-identity --query Arn --output text)"

"$aws" s3 mb "s3://$bucket" >"$work/out"
printf hello >"$work/small"
"$aws" s3api put-object --bucket "$bucket" --key greeting --body "$work/small" >"$work/out"
"$aws" s3api get-object --bucket "$bucket" --key greeting "$work/small.back" >"$work/out"
same "$work/small" "$work/small.back" "5 bytes put and got in $bucket"
"$aws" s3 cp --no-progress "s3://$bucket/greeting" "s3://$bucket/copied + greeting" >"$work/out"
"$aws" s3 cp --no-progress "s3://$bucket/copied + greeting" "$work/small.back" >"$work/out"
same "$work/small" "$work/small.back" '5 bytes copied and got'
"$aws" s3 rm "s3://$bucket/copied + greeting" >"$work/out"

head -c $((64 * 1024 * 1024)) /dev/urandom >"$work/large"
"$aws" s3 cp --no-progress "$work/large" "s3://$bucket/large" >"$work/out"
parts=$("$aws" s3api head-object --bucket "$bucket" --key large --query ETag --output text | tr -d '"' | cut -d- -f2)
"$aws" s3 cp --no-progress "s3://$bucket/large" "$work/large.back" >"$work/out"
same "$work/large" "$work/large.back" "64 MiB put in $parts parts and got"

# Odd names, all at once; a file's name cannot hold `//`, so that one goes alone.
mkdir -p "$work/odd/grüße"
for key in 'with spaces.txt' 'a+b.txt' 'a=b&c.txt' '100%.txt' 'grüße/日本語.txt'; do
    printf '%s' "$key" >"$work/odd/$key"
done
"$aws" s3 cp --no-progress --recursive "$work/odd" "s3://$bucket/odd" >"$work/out"
"$aws" s3 cp --no-progress "$work/small" "s3://$bucket/odd/double//slash.txt" >"$work/out"
"$aws" s3api list-objects-v2 --bucket "$bucket" --prefix odd/ --query 'Contents[].Key' --output json |
    python3 -c 'import json, sys; print(*sorted(json.load(sys.stdin)), sep="\n")' >"$work/listed"
printf 'odd/%s\n' '100%.txt' 'a+b.txt' 'a=b&c.txt' 'double//slash.txt' 'grüße/日本語.txt' 'with spaces.txt' >"$work/wanted"
same "$work/wanted" "$work/listed" 'keys with spaces, +, =, &, %, // and UTF-8 put and listed'
"$aws" s3 cp --no-progress "s3://$bucket/odd/double//slash.txt" "$work/slash.back" >"$work/out"
same "$work/small" "$work/slash.back" 'double//slash.txt got'
"$aws" s3 rm "s3://$bucket/odd/double//slash.txt" >"$work/out"
"$aws" s3 cp --no-progress --recursive "s3://$bucket/odd" "$work/odd.back" >"$work/out"
diff -r "$work/odd" "$work/odd.back" || fail 'odd keys got'
"$aws" s3 rm --recursive "s3://$bucket/odd" >"$work/out"
say 'all of them got and deleted'
[ "$("$aws" s3 ls "s3://$bucket" | awk '{print $4}' | sort | tr '\n' ' ')" = 'greeting large ' ] || fail 'the list shows what is left'
"$aws" s3 rb --force "s3://$bucket" >"$work/out"
say 'bucket deleted'

"$aws" dynamodb create-table --table-name "$bucket" --billing-mode PAY_PER_REQUEST \
    --key-schema AttributeName=order,KeyType=HASH --attribute-definitions AttributeName=order,AttributeType=S >"$work/out"
"$aws" dynamodb put-item --table-name "$bucket" --item '{"order":{"S":"1"},"note":{"S":"Größe 42"}}'
[ "$("$aws" dynamodb get-item --table-name "$bucket" --key '{"order":{"S":"1"}}' --query Item.note.S --output text)" = 'Größe 42' ] ||
    fail 'item got'
"$aws" dynamodb delete-table --table-name "$bucket" >"$work/out"
say 'table: item put and got'

queue=$("$aws" sqs create-queue --queue-name "$bucket" --query QueueUrl --output text)
"$aws" sqs send-message --queue-url "$queue" --message-body 'one & two' >"$work/out"
[ "$("$aws" sqs receive-message --queue-url "$queue" --query 'Messages[0].Body' --output text)" = 'one & two' ] || fail 'message received'
"$aws" sqs delete-queue --queue-url "$queue"
say 'queue: message sent and received'
