#!/bin/bash
# Makes an unpacked set of Debian packages into the web module: finish.sh ROOT.
set -euo pipefail
root=$1
rm -rf "${root:?}"/usr/share/{doc,man,locale,info,lintian,bash-completion,zsh,perl*,dpkg,debconf,bug,vim,nginx/html} \
  "$root"/etc/{apt,dpkg,init.d,cron*,default,logrotate.d,ufw} \
  "$root"/usr/lib/x86_64-linux-gnu/{gconv,perl*,audit} "$root"/usr/bin/perl* "$root"/var/{lib,cache,log}/* \
  "$root"/usr/bin/{apt*,dpkg*,deb*} "$root"/usr/lib/{apt,dpkg,systemd,init,lsb}
cp -a "$BILLET_FILES/." "$root"
mkdir -p "$root"/{proc,sys,dev,run,tmp,var/lib,var/tmp,var/log/nginx,var/lib/nginx,etc}
for name in resolv.conf hosts localtime; do
  [ -e "$root/etc/$name" ] || : >"$root/etc/$name"
done
printf 'root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
