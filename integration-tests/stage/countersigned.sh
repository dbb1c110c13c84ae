# shellcheck shell=bash
# The stage with Countersign on it, for `source`: a cluster, a verifying AWS, and a proxy with docs/examples/countersign.yaml.
# Needs `$countersign`, the binary. Gives `$root`, `$stage`, `$work` (the working directory from here on, removed at the
# end), `$python`, `$aws` (AWS's port), `$environment` (the file with what programs are given), and the functions below.
: "${countersign:?}"
countersign=$(realpath "$countersign")
stage=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$stage/../.." && pwd)
python=$root/.venv/bin/python
work=$(mktemp -d)
# shellcheck source=integration-tests/stage/processes.sh
source "$stage/processes.sh"
trap 'stop_all; rm -rf "$work"' EXIT
cd "$work" || exit
mkdir home

step() { printf '\n-- %s\n' "$*"; }
die() { echo "FAILED: $*" >&2; exit 1; }

# Whatever the machine says about AWS, proxies and trust must not reach a program here: only what it is given.
clean=(env -i PATH="$root/.venv/bin:$root/.clients/bin:/usr/bin:/bin" HOME="$work/home" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 AWS_DEFAULT_REGION=us-east-1)

# with FILE CMD…: a program that has nothing but the variables in the file.
with() {
    # shellcheck disable=SC2016
    "${clean[@]}" bash -c 'set -a; source "$1"; set +a; shift; exec "$@"' program "$@"
}

# program CMD…: a program with what Countersign gives.
program() { with "$environment" "$@"; }

must_fail_with() { # CODE CMD…
    local code=$1 said
    shift
    if said=$("$@" 2>&1); then
        die "not refused: $*"
    fi
    [[ $said == *"$code"* ]] || die "$* was to fail with $code, but said: $said"
    echo "  refused: $(grep -F -m 1 "$code" <<<"$said" | cut -c -160)"
}

step 'the stage'
# The four ports must be known before anything starts, because each side's config names the others'.
read -r aws issuer broker proxy < <("$python" -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*[s.getsockname()[1] for s in sockets])')
sed -e "s/18180/$aws/g; s/18181/$issuer/g; s/18182/$broker/g; s/18183/$proxy/g" "$root/docs/examples/countersign.yaml" >countersign.yaml
start issuer "$python" "$stage/cluster_issuer.py" serve --directory cluster --listen "127.0.0.1:$issuer" \
    --project shop/checkout/checkout-7d9f8=state/token
start aws "$python" "$stage/aws_cloud.py" --listen "127.0.0.1:$aws" --trust "http://127.0.0.1:$broker=sts.amazonaws.com" --calls calls.jsonl --secrets secrets
say_of issuer issuer >/dev/null
say_of aws url >/dev/null
# What a script has to say in the config besides.
if declare -F adjust_config >/dev/null; then
    adjust_config
fi
start countersign "${clean[@]}" "$countersign" proxy --config countersign.yaml
environment=$work/state/proxy/program.env
wait_until countersign 30 test -s "$environment"
echo "  aws $aws, cluster $issuer, broker $broker, proxy $proxy"
