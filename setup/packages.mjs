// Which Debian packages the demo, the tests and the benchmarks need, and why. Data only: add a row
// here and every command installs it.
// @ts-check

/**
 * @typedef {'demo' | 'test' | 'bench' | 'package' | 'hardware-smoke'} Purpose
 * @typedef {object} DebianPackage
 * @property {string} name as in Debian bookworm and trixie
 * @property {string} why what it is used for, for the person who is asked to install it
 * @property {readonly Purpose[]} for
 */

/** @type {readonly Purpose[]} */
const ALL = ['demo', 'test', 'bench', 'hardware-smoke'];
/** @type {readonly Purpose[]} */
const ALL_AND_PACKAGE = [...ALL, 'package'];

/** @type {readonly DebianPackage[]} */
export const PACKAGES = [
  {
    name: 'apache2-utils',
    why: 'htpasswd, for the passwords of a registry that nodes pull from',
    for: ['test'],
  },
  {
    name: 'binutils',
    why: 'strip, which halves the size of Node in boot images and packages',
    for: ALL_AND_PACKAGE,
  },
  {
    name: 'busybox-static',
    why: 'the shell that Nix builds with in its sandbox, in the tests',
    for: ['test'],
  },
  {
    name: 'ca-certificates',
    why: 'the roots that package mirrors over HTTPS are checked with',
    for: ALL,
  },
  { name: 'cpio', why: 'unpacks boot images to look into them', for: ALL },
  { name: 'debian-archive-keyring', why: 'the keys that Debian signs its packages with', for: ALL },
  {
    name: 'dnsmasq-base',
    why: 'DHCP, DHCPv6 and router advertisements, as a peer of the boot',
    for: ['test'],
  },
  { name: 'docker.io', why: 'the container engine that a drain stops', for: ['test'] },
  { name: 'dosfstools', why: 'makes FAT config drives, to read', for: ['test'] },
  {
    name: 'dpkg-dev',
    why: 'dpkg-shlibdeps, which finds what packages a program needs',
    for: ['test', 'package'],
  },
  { name: 'e2fsprogs', why: 'mkfs.ext4 for the object store', for: ALL },
  {
    name: 'erofs-utils',
    why: 'fsck.erofs and mkfs.erofs, to compare images with',
    for: ['test', 'bench'],
  },
  { name: 'faketime', why: 'machines whose clocks are wrong', for: ['test'] },
  { name: 'fdisk', why: 'sfdisk, by which a NixOS system lays out its disk', for: ['test'] },
  { name: 'fsverity', why: 'computes fs-verity digests, to compare with', for: ['test'] },
  {
    name: 'ipmitool',
    why: 'speaks to a BMC by IPMI, as hardware-smoke does',
    for: ['test'],
  },
  { name: 'iproute2', why: 'network namespaces, as networks to boot in', for: ['test'] },
  { name: 'ipxe-qemu', why: 'the boot firmware of virtual network cards', for: ALL },
  { name: 'kmod', why: 'depmod and modprobe for the boot image', for: ALL },
  { name: 'libatomic1', why: 'a library that Node 26 needs', for: ALL_AND_PACKAGE },
  { name: 'libvirt-clients', why: 'virsh, by which machines of libvirt are made', for: ['test'] },
  { name: 'libvirt-daemon', why: 'libvirtd, as a provider of machines', for: ['test'] },
  {
    name: 'libvirt-daemon-driver-qemu',
    why: 'the part of libvirtd that runs QEMU machines',
    for: ['test'],
  },
  { name: 'mmdebstrap', why: 'builds the Debian roots of the modules', for: ALL },
  { name: 'mtools', why: 'puts files on FAT config drives', for: ['test'] },
  {
    name: 'nix-bin',
    why: 'Nix, for NixOS systems without nixpkgs: build, sign, copy, activate',
    for: ['test'],
  },
  { name: 'openipmi', why: 'ipmi_sim, a BMC that speaks IPMI 2.0, as a peer', for: ['test'] },
  { name: 'openssl', why: 'checks certificates and revocation lists', for: ['test'] },
  {
    name: 'ovmf',
    why: 'UEFI firmware of virtual machines, with Secure Boot',
    for: ['test', 'bench', 'hardware-smoke'],
  },
  { name: 'qemu-system-x86', why: 'the machines that boot', for: ALL },
  { name: 'shellcheck', why: 'checks the shell scripts', for: ['test'] },
  {
    name: 'skopeo',
    why: 'copies images to and from the registry, as a peer',
    for: ['test', 'bench'],
  },
  { name: 'strace', why: 'records what the store writes, for power cuts', for: ['test'] },
  { name: 'swtpm', why: 'TPMs of virtual machines', for: ['test', 'bench'] },
  { name: 'swtpm-tools', why: 'makes those TPMs, as a factory does', for: ['test', 'bench'] },
  { name: 'systemd', why: 'systemd-analyze, which checks units', for: ['test'] },
  { name: 'umoci', why: 'builds and unpacks OCI layouts, as a peer', for: ['test'] },
  { name: 'xorriso', why: 'makes config drives as ISO images, to read', for: ['test'] },
  { name: 'xz-utils', why: 'unpacks compressed kernel modules', for: ALL },
  { name: 'zstd', why: 'compresses boot images and layers', for: ALL },
];

/**
 * @param {readonly DebianPackage[]} packages
 * @param {Purpose} purpose
 * @param {ReadonlySet<string>} installed
 * @returns {readonly DebianPackage[]}
 */
export const missingPackages = (packages, purpose, installed) =>
  packages.filter((row) => row.for.includes(purpose) && !installed.has(row.name));

/**
 * The one command that a person without root has to run.
 * @param {readonly DebianPackage[]} packages
 */
export const installCommand = (packages) =>
  `sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${packages
    .map((row) => row.name)
    .join(' ')}'`;
