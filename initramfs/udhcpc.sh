#!/bin/sh
# Run by busybox udhcpc and udhcpc6 (its README, "udhcpc scripts"): leaves what a server gave as lines of
# key=value in /run/udhcpc/INTERFACE.4 or .6, for the agent, which sets it. Says nothing.
set -eu
: "${interface:?set by udhcpc}"
family=6
if [ -n "${ip:-}" ]; then family=4; fi
case "$1" in
  deconfig)
    ip link set "$interface" up
    ;;
  bound | renew)
    mkdir -p /run/udhcpc
    for key in ip mask router ipv6 dns domain ntpsrv lease; do
      value=
      eval "value=\${$key:-}"
      printf '%s=%s\n' "$key" "$value"
    done > "/run/udhcpc/$interface.$family.new"
    mv "/run/udhcpc/$interface.$family.new" "/run/udhcpc/$interface.$family"
    ;;
esac
