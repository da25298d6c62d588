#!/bin/sh
# PID 1 of the initramfs: loads drivers for the hardware that is here, runs the agent until it has
# mounted /sysroot, and hands over. Never ends otherwise, and decides nothing about the node.
# shellcheck disable=SC3040  # busybox sh has pipefail
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o mode=0755,nosuid devtmpfs /dev
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run
mkdir -p /run/modprobe.d

# A panic is a machine that is gone until somebody comes; a reboot is a machine that tries again.
echo 10 > /proc/sys/kernel/panic

# Emulated vector instructions are slower than plain ones: no AVX, AES, SSSE3, SHA, AVX2 or BMI for
# OpenSSL (OPENSSL_ia32cap(3)), nor for the kernel. /run survives the hand-over, so that systemd-udevd
# leaves them alone as well.
node_flags=
if grep -q 'QEMU TCG' /proc/cpuinfo; then
  for module in aesni_intel crc32_pclmul crct10dif_pclmul ghash_clmulni_intel polyval_clmulni \
    sha1_ssse3 sha256_ssse3 sha512_ssse3; do
    echo "blacklist $module"
  done > /run/modprobe.d/billet-emulated-cpu.conf
  export OPENSSL_ia32cap=~0x1200020000000000:~0x20000128
  # Compiling better code takes longer there than this program runs (docs/performance.md).
  node_flags='--no-opt --single-threaded --min-semi-space-size=16'
fi

# By path: busybox sh takes its own modprobe for the plain name, which ignores soft dependencies.
# New devices from here on (disks behind a controller, USB), then those that the kernel has found.
uevent /billet/hotplug.sh > /dev/null 2>&1 &
hotplug_pid=$!
find /sys/devices -name modalias -exec cat {} + | sort -u | xargs /usr/sbin/modprobe -abq || true
# Nothing announces itself for these.
/usr/sbin/modprobe -aq loop erofs overlay ext4 af_packet || true
# Variables of the firmware: whether it verified this image, which boot slot this is, what it starts next.
if [ -d /sys/firmware/efi/efivars ]; then
  mount -t efivarfs -o nosuid,nodev,noexec efivarfs /sys/firmware/efi/efivars || true
fi

# Everything said here and by the agent goes to every console that the kernel command line names.
consoles=
read -r active < /sys/class/tty/console/active
for name in $active; do
  consoles="$consoles /dev/$name"
done
tee_pid=
case "$consoles" in
  *' '*' '*)
    mkfifo /run/console
    # shellcheck disable=SC2086  # one argument a console
    tee $consoles < /run/console > /dev/null 2>&1 &
    tee_pid=$!
    exec > /run/console 2>&1
    rm /run/console
    ;;
esac

pause=1
# shellcheck disable=SC2086  # one argument a flag
until node $node_flags --disable-warning=ExperimentalWarning /billet/agent.mjs boot; do
  echo "BILLET_FAILURE boot-start code=INTERNAL message=\"the agent ended with $?\"" \
    "hint=\"it starts again in $pause s; read the lines above\""
  sleep "$pause"
  if [ "$pause" -lt 30 ]; then pause=$((pause * 2)); fi
done

if [ -n "$tee_pid" ]; then
  exec < /dev/console > /dev/console 2>&1
  wait "$tee_pid" || true
fi
kill "$hotplug_pid" || true
# /proc goes last, because what is moved already is read from there.
for dir in sys dev run proc; do
  grep -q " /sysroot/$dir " /proc/mounts || mount -o move "/$dir" "/sysroot/$dir"
done
exec switch_root /sysroot /sbin/init
