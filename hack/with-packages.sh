#!/usr/bin/env bash
# Runs a command with the Debian packages of a different date: hack/with-packages.sh release|newest COMMAND [ARGUMENT...]
#
#   release  all that COMMAND may use of the clients' packages and their libraries comes from the plain Debian release,
#            without its security and other updates
#   newest   the same packages are upgraded, with all updates
#
# The system keeps its packages: apt-get works on copies of /usr, /etc and /var (overlays in memory), which only COMMAND and its
# children see, and which are gone when it ends. It needs root to mount them. `make interop` runs the tests this way.
set -euo pipefail

usage() {
	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
if [[ ${1:-} != --inside ]]; then
	if (($# < 2)) || [[ $1 != release && $1 != newest ]]; then
		usage
	fi
	if [[ $(id -u) != 0 ]]; then
		echo "$0 needs root, for mounting" >&2
		exit 1
	fi
	# The overlays' upper layers are in a file system that is mounted here, and visible only inside.
	copies="$(mktemp -d)"
	trap 'rmdir "$copies"' EXIT
	unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$copies" "$@"
	exit
fi
copies="$2" which="$3"
shift 3

mount -t tmpfs -o mode=0755 none "$copies"
for dir in usr etc var; do
	mkdir -p "$copies/$dir/upper" "$copies/$dir/work"
	mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$copies/$dir/upper,workdir=$copies/$dir/work" "/$dir"
done

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" >&2
}
installed() {
	{ dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } | sed -n 's/^installed //p' | sort --unique
}

# No service may start or stop, because those of the system run outside.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt update
# shellcheck source=/dev/null
. /etc/os-release
clients=(
	curl libjsch-java libnet-sftp-foreign-perl libssh-4 libssh-dev libssh2-1 lftp openssh-client openssh-sftp-server php-phpseclib3
	putty-tools python3-asyncssh python3-paramiko rclone ruby-net-sftp ruby-net-ssh ssh-audit sshfs sshpass
)
# Their libraries too, but only installed ones.
mapfile -t packages < <(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
	--no-replaces --no-enhances "${clients[@]}" | grep '^[a-z]' | sort --unique)
mapfile -t packages < <(installed "${packages[@]}")
if [[ $which == newest ]]; then
	apt install --only-upgrade "${packages[@]}"
else
	for package in "${packages[@]}"; do
		printf 'Package: %s\nPin: release n=%s\nPin-Priority: 1001\n\n' "$package" "$VERSION_CODENAME"
	done >/etc/apt/preferences.d/with-packages
	apt install --only-upgrade --allow-downgrades "${packages[@]}"
fi
"$@"
