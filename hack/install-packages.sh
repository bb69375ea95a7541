#!/usr/bin/env bash
# Installs the Debian packages that the tests and checks need and that are missing. It does nothing, and needs no rights,
# when all are there. What a Kubernetes node needs beside them, hack/cluster installs when it starts one.
set -euo pipefail

packages=(
	ca-certificates git
	gcc libc6-dev # go test -race
	shellcheck    # make verify
	openssh-client openssh-sftp-server # what the tests and the demo log in with, and are compared with
)

if ! command -v dpkg-query >/dev/null; then
	echo "This is not Debian: make sure yourself that these are installed: ${packages[*]}" >&2
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	state="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
	[[ $state == installed ]] || missing+=("$package")
done
((${#missing[@]} > 0)) || exit 0

echo "installing Debian packages: ${missing[*]}" >&2
as_root=()
if [[ $(id -u) != 0 ]]; then
	command -v sudo >/dev/null || {
		echo "not root, and there is no sudo: install them yourself, then run this again" >&2
		exit 1
	}
	as_root=(sudo)
fi

install() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --quiet --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}
# The lists may be absent or old: then fetch them.
install || {
	"${as_root[@]}" apt-get update --quiet >&2
	install
}
