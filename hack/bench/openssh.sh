#!/usr/bin/env bash
# Builds a current OpenSSH server from Debian 13's sources, with the default options, and prints the directory that it is in.
# The one in Debian 12 is older, and slower in some respects. It is built once, into the cache.
set -euo pipefail

version=10.0p1
sha256=021a2e709a0edf4250b1256bd5a9e500411a90dddabea830ed59cef90eb9d85c

# mirrors prints the package sources of this machine.
mirrors() {
	# shellcheck disable=SC2016 # the dollar is apt-get's
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u
}

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
cache="${SFTP_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sftp-operator}"
place="$cache/openssh-$version"
if [[ -e $place/sbin/sshd ]]; then
	echo "$place"
	exit 0
fi
echo "building OpenSSH $version into $place (once; it takes a minute or two)" >&2
"$here/../install-packages.sh" gcc libc6-dev make curl libssl-dev zlib1g-dev
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
for mirror in $(mirrors); do
	curl --fail --silent --location --output "$work/source.tar.gz" "${mirror%/}/pool/main/o/openssh/openssh_$version.orig.tar.gz" && break
done
[[ -e $work/source.tar.gz ]] || {
	echo "openssh_$version.orig.tar.gz was not found in any of: $(mirrors | paste -sd' ')" >&2
	exit 1
}
sha256sum --check --quiet - <<<"$sha256  $work/source.tar.gz" >&2
tar -C "$work" -xzf "$work/source.tar.gz"
cd "$work/openssh-$version"
{
	./configure --prefix="$place" --with-privsep-path=/run/sshd --quiet
	make --silent sshd sshd-session sshd-auth sftp-server
} >"$work/log" 2>&1 || {
	tail -n 30 "$work/log" >&2
	exit 1
}
mkdir -p "$work/place/sbin" "$work/place/libexec"
cp sshd "$work/place/sbin/"
cp sshd-session sshd-auth sftp-server "$work/place/libexec/"
rm -rf -- "$place"
mkdir -p -- "$cache"
mv -- "$work/place" "$place" # all of it or nothing
echo "$place"
