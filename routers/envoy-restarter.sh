#!/bin/sh
# Starts Envoy with these options; SIGHUP starts the next one, which takes the sockets over from it (hot restart);
# SIGTERM ends all. Envoy's own wrapper for it is restarter/hot-restarter.py, which its packages do not hold.
epoch=0
start() {
    envoy "$@" --restart-epoch "$epoch" &
    newest=$!
    epoch=$((epoch + 1))
}
trap 'start "$@"' HUP
trap 'ending=yes; kill -TERM $(jobs -p) 2>/dev/null' TERM INT

start "$@"
while kill -0 "$newest" 2>/dev/null; do
    wait "$newest"
    status=$?
done
[ "$ending" ] || kill -TERM $(jobs -p) 2>/dev/null
wait
exit "$status"
