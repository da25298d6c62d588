#!/bin/bash
# Makes a Debian root into the base module: finish.sh ROOT. Takes from the environment
#   BILLET_NODE    the Node binary          BILLET_AGENT    the folder with its agent
#   BILLET_UNITS   the folder systemd/      BILLET_FILES    files copied over the root
#   BILLET_KERNEL  a root with /usr/lib/modules/BILLET_RELEASE
set -euo pipefail
root=$1
release=$BILLET_RELEASE

# An image that is never changed in place needs no package manager, and what only that one needs.
rm -rf "$root"/usr/bin/{apt*,dpkg*,deb*,perl*,cpan*} \
  "$root"/usr/lib/{apt,dpkg,x86_64-linux-gnu/perl-base,x86_64-linux-gnu/perl} \
  "$root"/usr/share/{doc,man,locale,info,lintian,bash-completion,zsh,perl*,dpkg,debconf,bug,common-licenses,doc-base,menu,pixmaps,gcc,gdb} \
  "$root"/usr/share/polkit-1 "$root"/usr/lib/x86_64-linux-gnu/{gconv,audit} \
  "$root"/usr/share/zoneinfo/{posix,right} \
  "$root"/usr/lib/x86_64-linux-gnu/libapt-p* "$root"/usr/bin/sqv "$root"/usr/share/{keyrings,initramfs-tools,base-files,base-passwd,pam-configs,fish,debianutils,mime,tabset} \
  "$root"/usr/lib/{lsb,mime,pcrlock.d,udev/hwdb.bin} "$root"/usr/lib/systemd/{catalog,ukify,boot} "$root"/usr/lib/udev/hwdb.d \
  "$root"/var/lib/{apt,dpkg,pam} "$root"/var/cache/* "$root"/var/log/* "$root"/var/backups \
  "$root"/etc/{apt,dpkg,cron.daily,kernel,logrotate.d,alternatives/README} "${root:?}"/boot/* \
  "$root"/usr/lib/systemd/system/{dpkg-*,apt-*,e2scrub*}
# Generators run at each boot and each reload; here is no fstab, no seat and no SysV script.
find "$root/usr/lib/systemd/system-generators" -type f ! -name systemd-debug-generator \
  ! -name systemd-run-generator -delete
find "$root"/etc/systemd "$root"/etc/rc?.d -xtype l -delete 2>/dev/null || true

# Kernel modules of servers: no sound, screens, radios, cameras.
from=$BILLET_KERNEL/usr/lib/modules/$release
to=$root/usr/lib/modules/$release
mkdir -p "$to"
cp -a "$from/kernel" "$from"/modules.{builtin,builtin.modinfo,order} "$to"
(
  cd "$to/kernel"
  rm -rf sound drivers/{accel,accessibility,atm,hwtracing,pinctrl,gpio,thermal/intel,platform/x86,platform/chrome,misc/mei,hwmon/pmbus,nvme/target,infiniband/hw/{hfi1,qib,usnic,vmw_pvrdma},bluetooth,comedi,firewire,gpu,greybus,iio,isdn,leds,media,memstick,mmc,most,parport,pcmcia,platform/surface,pps,ptp,rapidio,soundwire,spi,staging,video,w1,siox,slimbus,counter,extcon,ntb,target,auxdisplay,bcma,ssb,input,rtc,hid/amd-sfh-hid,hid/intel-ish-hid,hid/surface-hid,usb/gadget,usb/atm,usb/misc,usb/serial,usb/image,usb/typec,infiniband/ulp,thunderbolt,xen,i2c/busses,i2c/muxes,cxl,nfc} \
    drivers/net/{arcnet,can,fddi,hamradio,hippi,ieee802154,plip,ppp,slip,wireless,wwan,wan,usb} \
    drivers/scsi/{aic7xxx,aic94xx,arcmsr,bfa,bnx2fc,csiostor,cxgbi,esas2r,fcoe,isci,lpfc,mvsas,pcmcia,pm8001,qla2xxx,qla4xxx,qedf,qedi,snic,sym53c8xx_2} \
    net/{6lowpan,9p,appletalk,atm,ax25,batman-adv,bluetooth,can,ceph,dccp,ieee802154,lapb,mac80211,mac802154,mctp,mpls,netrom,nfc,phonet,qrtr,rds,rose,rxrpc,sunrpc,tipc,wireless,x25} \
    fs/{9p,adfs,affs,afs,befs,bfs,ceph,coda,cramfs,dlm,ecryptfs,efs,freevxfs,gfs2,hfs,hfsplus,hpfs,jffs2,jfs,minix,netfs,nfs,nfsd,nilfs2,ntfs3,ocfs2,omfs,orangefs,qnx4,qnx6,reiserfs,romfs,smb,sysv,ubifs,ufs,vboxsf,zonefs,bcachefs,f2fs,btrfs,xfs,udf,exfat,cachefiles}
)
depmod -b "$root" "$release"
# modprobe reads the binary indexes.
rm -f "$to"/modules.{alias,dep,symbols,devname.bak}

install -D -m 0755 "$BILLET_NODE" "$root/usr/lib/billet/node"
install -m 0644 -t "$root/usr/lib/billet" "$BILLET_AGENT"/*.mjs
install -D -m 0644 "$BILLET_UNITS/billet-agent.service" "$root/usr/lib/systemd/system/billet-agent.service"
install -D -m 0644 "$BILLET_UNITS/billet.tmpfiles" "$root/usr/lib/tmpfiles.d/billet.conf"
mkdir -p "$root/usr/lib/systemd/system/multi-user.target.wants"
ln -sf ../billet-agent.service "$root/usr/lib/systemd/system/multi-user.target.wants/billet-agent.service"
cp -a "$BILLET_FILES/." "$root"

# A network that is up already stays up; addresses come by DHCP.
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/systemd/system/sockets.target.wants"
ln -sf /usr/lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
ln -sf /usr/lib/systemd/system/systemd-networkd.socket "$root/etc/systemd/system/sockets.target.wants/systemd-networkd.socket"
ln -sf ../run/resolv.conf "$root/etc/resolv.conf"

# What a machine without seats, and with a root that is as it should be, has no use for.
for unit in systemd-logind.service systemd-udev-settle.service systemd-firstboot.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-update-done.service \
  ldconfig.service systemd-machine-id-commit.service systemd-networkd-wait-online.service \
  systemd-remount-fs.service systemd-random-seed.service systemd-pstore.service \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
  getty.target console-getty.service systemd-user-sessions.service systemd-ask-password-console.path \
  systemd-ask-password-wall.path; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

: >"$root/etc/machine-id"
: >"$root/etc/fstab"
rm -f "$root"/etc/{hostname,passwd-,group-,shadow-,gshadow-,.pwd.lock,ld.so.cache.old} "$root"/var/lib/dbus/machine-id
sed -i 's/^root:[^:]*:/root:!*:/' "$root/etc/shadow"
