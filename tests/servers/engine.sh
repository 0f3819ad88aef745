#!/bin/sh
# Docker Engine and a small Debian image with Python, out of this release's own packages, into the folder that is named:
# nothing is installed on the machine, nothing is started, and no maintainer script is run. Needs root, apt and dpkg.
set -eu
# Debian 12's; apt checks the signatures. Another release gives what it has, and says so.
engine='docker.io=20.10.24* containerd=1.6.20* runc=1.1.5* tini=0.19.0* libdevmapper1.02.1 libseccomp2'
image='python3 ca-certificates dash coreutils libc-bin base-files'

folder=$1
stop() { echo "the container engine needs $1: the tests that start containers are left out" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || stop "Linux"
command -v apt-get dpkg-deb tar >/dev/null || stop "Debian or Ubuntu, for its packages"
[ "$(id -u)" = 0 ] || stop "root, for namespaces and cgroups"

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
packages=$folder/packages
mkdir -p "$packages/partial" "$folder/engine" "$folder/root"
cd "$packages"

apt() { apt-get -qq -o APT::Sandbox::User=root "$@"; }
# Lists that are missing or old are refreshed once.
fetch() { apt "$@" 2>/dev/null || { [ -n "${fresh:-}" ] || { apt update && fresh=yes; } && apt "$@"; }; }

# shellcheck disable=SC2086 # lists of packages
fetch download $engine || {
    echo "this release has other versions than Debian 12's: $engine" >&2
    fetch download $(echo "$engine" | sed 's/=[^ ]*//g')
}
for package in *.deb; do dpkg-deb -x "$package" "$folder/engine"; done
rm ./*.deb
(cd "$folder/engine/usr" && rm -rf share bin/ctr bin/dnet bin/containerd-shim bin/containerd-shim-runc-v1 sbin/ovrouter)

# apt's own resolver, told that nothing is installed: it fetches what is named with all that this needs.
# shellcheck disable=SC2086
fetch -y --download-only -o Dir::State::status=/dev/null -o Dir::Cache::archives="$packages" \
    -o APT::Install-Recommends=0 install $image

# Debian merges these folders under /usr before it unpacks anything.
cd "$folder/root"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 dev proc sys tmp etc
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
for package in "$packages"/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink; done
rm -rf usr/share/doc usr/share/man usr/share/locale "$packages"
chmod 1777 tmp
mkdir -p etc/ssl/certs
find usr/share/ca-certificates -name '*.crt' -exec cat {} + > etc/ssl/certs/ca-certificates.crt
echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
echo 'root:x:0:' > etc/group
chroot . /usr/bin/python3 -c 'import http.client, json, ssl'
tar -C "$folder/root" -cf "$folder/root.tar" .
rm -rf "$folder/root"
