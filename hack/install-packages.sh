#!/usr/bin/env bash
# Installs the missing Debian packages that the tests and checks need. It does nothing, and does not need root, if they are all
# installed. With arguments it only installs those packages. hack/cluster installs the additional packages of a Kubernetes node
# when it starts one.
#
# None of them starts a service, or brings in a desktop. Therefore openssh-server is not among them, nor openssh-tests, which
# depends on it, nor filezilla, nor prometheus, whose promtool test/monitoring runs: those are only unpacked, into the cache
# where the tests look for them. The npm packages of test/interop are installed there too.
set -euo pipefail

packages=(
	ca-certificates git
	gcc libc6-dev # go test -race
	shellcheck    # make verify
	jq            # the commands of docs/auditors.md
	openssh-client openssh-sftp-server # what the tests and the demo log in with, and are compared with
	# Clients that test/interop runs against the daemon:
	sshpass                  # types passwords for ssh and sftp
	sshfs fuse3              # mounts a home, and unmounts it
	lftp                     # mirrors over ssh
	rclone                   # has the daemon's SSH implementation, golang.org/x/crypto/ssh
	curl                     # has libssh2
	python3 python3-paramiko python3-asyncssh # have SSH implementations in Python
	php-cli php-phpseclib3 php-gmp
	ruby ruby-net-sftp ruby-ed25519 ruby-bcrypt-pbkdf # Net::SSH supports Ed25519 with the last two
	perl libnet-sftp-foreign-perl libio-pty-perl
	default-jdk-headless libjsch-java
	libssh-dev               # has an SSH implementation in C, and is used with gcc
	expect                   # types passwords as scripts do
	libnettle8 # for FileZilla's fzsftp
	libwrap0   # for OpenSSH's sshd
	putty-tools              # psftp, and puttygen for its keys
	ssh-audit                # looks for weak algorithms
)

everything=true
if (($# > 0)); then
	packages=("$@")
	everything=false
fi

if ! command -v dpkg-query >/dev/null; then
	echo "This is not Debian. Make sure that these are installed: ${packages[*]} openssh-server, openssh-tests, filezilla, prometheus, nodejs, npm" >&2
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	state="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
	[[ $state == installed ]] || missing+=("$package")
done

# The npm clients are those of test/interop/testdata/node. Any node will do, including one that was not installed by apt.
node="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)/test/interop/testdata/node"
if $everything; then
	command -v node >/dev/null || missing+=(nodejs)
	command -v npm >/dev/null || missing+=(npm)
fi

# What is unpacked: a package, and one of its files that shows whether it is installed. The file "version" is next to the
# unpacked ones, for test/interop, which knows defects of clients by version.
cache="${SFTP_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sftp-operator}"
declare -A unpacked=(
	[openssh-server]=usr/sbin/sshd
	[openssh-tests]=usr/lib/openssh/regress/test-exec.sh
	[filezilla]=usr/bin/fzsftp
	[prometheus]=usr/bin/promtool
)
unpack=()
for package in "${!unpacked[@]}"; do
	[[ $everything == false || -e /${unpacked[$package]} || -e $cache/$package/version ]] || unpack+=("$package")
done
npm=false
$everything && ! cmp --quiet "$node/package-lock.json" "$cache/interop-node/package-lock.json" && npm=true

((${#missing[@]} + ${#unpack[@]} > 0)) || $npm || exit 0

as_root() {
	if [[ $(id -u) == 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "not root, and sudo is missing: install them yourself, then run this again" >&2
		return 1
	fi
}

install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --quiet --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}

download() {
	(cd "$work" && apt-get download --quiet -o APT::Sandbox::User=root "${unpack[@]}" >&2)
}

# The package lists may be absent or old: then fetch them.
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
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
if ((${#unpack[@]} > 0)); then
	echo "unpacking Debian packages into $cache: ${unpack[*]}" >&2
	or_update download
	mkdir -p -- "$cache"
	for package in "${unpack[@]}"; do
		dpkg-deb --extract "$work/$package"_*.deb "$work/root"
		dpkg-deb --field "$work/$package"_*.deb Version >"$work/root/version"
		rm -rf -- "${cache:?}/$package"
		mv -- "$work/root" "$cache/$package" # all of it or nothing
	done
fi
if $npm; then
	echo "installing npm packages into $cache/interop-node" >&2
	mkdir -p -- "$cache" "$work/node"
	cp -- "$node/package.json" "$node/package-lock.json" "$work/node"
	# No scripts: they would only build optional accelerators.
	(cd "$work/node" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund >&2)
	rm -rf -- "$cache/interop-node"
	mv -- "$work/node" "$cache/interop-node"
fi
