#!/bin/sh
# Run by busybox udhcpc (its README, "udhcpc scripts"): puts a lease on the interface. Says nothing.
set -eu
: "${interface:?set by udhcpc}"
case "$1" in
  deconfig)
    ip address flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew)
    : "${ip:?set by udhcpc}"
    ip address flush dev "$interface"
    ip address add "$ip/${mask:-24}" broadcast "${broadcast:-+}" dev "$interface"
    for gateway in ${router:-}; do
      ip route replace default via "$gateway" dev "$interface"
      break
    done
    : > /run/resolv.conf
    if [ -n "${domain:-}" ]; then echo "search $domain" >> /run/resolv.conf; fi
    for server in ${dns:-}; do
      echo "nameserver $server" >> /run/resolv.conf
    done
    ;;
esac
