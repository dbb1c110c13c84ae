# shellcheck shell=bash
# Background processes of a script, for `source`: each known by its name and ended by its id.
# Needs `$work`, a directory, where each process writes NAME.out and NAME.err, and `$python`.
: "${work:?}" "${python:?}"

declare -A process_ids=()

# start NAME PROGRAM…: not a shell function, whose id would be that of a shell around the program.
start() {
    local name=$1
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    process_ids[$name]=$!
}

# wait_until NAME SECONDS CMD…: until CMD succeeds; fails with NAME's last words if NAME ends first or time is up.
wait_until() {
    local name=$1 turns=$(($2 * 20))
    shift 2
    while ! "$@"; do
        if ! kill -0 "${process_ids[$name]}" 2>/dev/null || ((turns-- == 0)); then
            echo "$name did not start:" >&2
            tail -n 20 "$work/$name.err" >&2
            return 1
        fi
        sleep 0.05
    done
}

# listens HOST:PORT: whether somebody does.
listens() {
    (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null
}

# say_of NAME KEY: what NAME has said about itself in its line of JSON.
say_of() {
    wait_until "$1" 30 test -s "$work/$1.out" || return
    "$python" -c 'import json, sys; print(json.loads(sys.stdin.readline())[sys.argv[1]])' "$2" <"$work/$1.out"
}

# stop NAME: asks it to end, and waits.
stop() {
    kill "${process_ids[$1]}" 2>/dev/null || true
    wait "${process_ids[$1]}" 2>/dev/null || true
    unset "process_ids[$1]"
}

stop_all() {
    local name
    for name in "${!process_ids[@]}"; do
        stop "$name"
    done
}
