#!/usr/bin/env bash
# Installs the Debian packages that the tests and checks need and that are missing. It does nothing, and needs no rights,
# when all are there. With arguments it installs those packages alone. What a Kubernetes node needs beside them,
# hack/cluster installs when it starts one.
#
# None of them starts a service. So openssh-tests is not among them, which depends on openssh-server: its files alone
# are unpacked, into the cache where test/interop looks for them.
set -euo pipefail

packages=(
	ca-certificates git
	gcc libc6-dev # go test -race
	shellcheck    # make verify
	openssh-client openssh-sftp-server # what the tests and the demo log in with, and are compared with
	# Clients that test/interop uses the daemon with:
	sshpass                  # types passwords for ssh and sftp
	sshfs fuse3              # mounts a home, and unmounts it
	lftp                     # mirrors over ssh
	rclone                   # has the SSH implementation that the daemon has, golang.org/x/crypto/ssh
	curl                     # has libssh2
	python3 python3-paramiko # has an SSH implementation in Python
	putty-tools              # psftp, and puttygen for its keys
	ssh-audit                # looks for weak algorithms
)

everything=true
if (($# > 0)); then
	packages=("$@")
	everything=false
fi

if ! command -v dpkg-query >/dev/null; then
	echo "This is not Debian: make sure yourself that these are installed: ${packages[*]} openssh-tests" >&2
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	state="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
	[[ $state == installed ]] || missing+=("$package")
done

# OpenSSH's regression tests, one file to stand for all.
openssh_tests="${SFTP_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sftp-operator}/openssh-tests"
one_test=usr/lib/openssh/regress/test-exec.sh
unpack=false
[[ $everything == false || -e /$one_test || -e $openssh_tests/$one_test ]] || unpack=true

((${#missing[@]} > 0)) || $unpack || exit 0

as_root() {
	if [[ $(id -u) == 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "not root, and there is no sudo: install them yourself, then run this again" >&2
		return 1
	fi
}

install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --quiet --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}

download() {
	(cd "$work" && apt-get download --quiet -o APT::Sandbox::User=root openssh-tests >&2)
}

# The lists of packages may be absent or old: then fetch them.
or_update() {
	"$1" || {
		as_root apt-get update --quiet >&2
		"$1"
	}
}

if ((${#missing[@]} > 0)); then
	echo "installing Debian packages: ${missing[*]}" >&2
	or_update install
fi
if $unpack; then
	echo "unpacking the Debian package openssh-tests into $openssh_tests" >&2
	work="$(mktemp -d)"
	trap 'rm -rf -- "$work"' EXIT
	or_update download
	dpkg-deb --extract "$work"/openssh-tests_*.deb "$work/root"
	rm -rf -- "$openssh_tests"
	mkdir -p -- "$(dirname -- "$openssh_tests")"
	mv -- "$work/root" "$openssh_tests" # all of it or nothing
fi
