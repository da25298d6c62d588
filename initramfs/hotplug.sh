#!/bin/sh
# Run by busybox uevent for each event of the kernel: loads the driver of a device that appeared.
set -eu
if [ "${ACTION:-}" = add ] && [ -n "${MODALIAS:-}" ]; then
  exec /usr/sbin/modprobe -bq "$MODALIAS"
fi
