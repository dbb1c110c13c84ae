#!/usr/bin/env bash
# What the AWS CLI signs ahead, for programs that know nothing of AWS: a URL for curl, and passwords for others.
# Usage: presign_tour.sh AWS…
set -euo pipefail

bucket=tour-$RANDOM$RANDOM
die() { echo "MISMATCH: $*" >&2; exit 1; }

"$1" s3api create-bucket --bucket "$bucket" >/dev/null
printf hello >small
for aws in "$@"; do
    "$aws" s3 cp small "s3://$bucket/a b" >/dev/null
    got=$(curl -sSf "$("$aws" s3 presign "s3://$bucket/a b" --expires-in 60)")
    [ "$got" = hello ] || die "the presigned URL gave $got"
    echo '  got with a URL, by curl'
    "$aws" s3 rm "s3://$bucket/a b" >/dev/null
    if said=$("$aws" ecr get-login-password 2>&1); then
        die 'the password of a registry was given'
    fi
    [[ $said == *credential-withheld* ]] || die "$said"
    echo '  the password of a registry is withheld'
    # Made without a word to anybody; whoever gets it refuses the placeholder.
    token=$("$aws" rds generate-db-auth-token --hostname db.test --port 5432 --username shop)
    [[ $token == *"$AWS_ACCESS_KEY_ID"* ]] || die 'a token for a database has other keys than the placeholder'
    token=$("$aws" eks get-token --cluster-name prod)
    [[ $token == *k8s-aws-v1.* ]] || die 'no token for a cluster'
    echo '  tokens for databases and clusters hold the placeholder and no more'
done
"$1" s3api delete-bucket --bucket "$bucket"
