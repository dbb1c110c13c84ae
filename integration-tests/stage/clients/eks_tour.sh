#!/usr/bin/env bash
# Asks an EKS cluster who it is, with the bearer that the AWS CLI makes, as kubectl does it.
# Usage: eks_tour.sh AWS URL
set -euo pipefail

die() { echo "MISMATCH: $*" >&2; exit 1; }

bearer() { "$1" eks get-token --cluster-name "$2" | sed -nE 's/.*"token": ?"([^"]+)".*/\1/p'; }

said=$(curl -sS -H "Authorization: Bearer $(bearer "$1" prod)" "$2/apis")
[[ $said == *:assumed-role/checkout/* ]] || die "the cluster takes us for $said"
echo "  the cluster knows who calls: $said" | cut -c -120
# The name of the cluster is signed: with another one the bearer proves nothing.
said=$(curl -sS -H "Authorization: Bearer $(bearer "$1" other)" "$2/apis")
[[ $said == *placeholder-invalid* ]] || die "a bearer for another cluster: $said"
echo '  a bearer for another cluster is refused'
