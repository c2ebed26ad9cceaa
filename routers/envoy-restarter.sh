#!/bin/sh
# Starts Envoy with these options; SIGHUP starts the next one, which takes the sockets over from it (hot restart);
# SIGTERM ends all. Envoy's own wrapper for it is restarter/hot-restarter.py, which its packages do not hold.
epoch=0
all=
start() {
    envoy "$@" --restart-epoch "$epoch" &
    newest=$!
    all="$all $newest"
    epoch=$((epoch + 1))
}
end() {
    # Those that have ended are no error.
    for one in $all; do kill -TERM "$one" 2>/dev/null; done
}
trap 'start "$@"' HUP
trap end TERM INT

start "$@"
while kill -0 "$newest" 2>/dev/null; do
    wait "$newest"
    status=$?
done
end
wait
exit "$status"
