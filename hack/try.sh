#!/usr/bin/env bash
# Only the daemon, on this machine, in a minute: no cluster, no root. `manager render` makes the same decisions as the operator
# in a cluster, and writes the daemon's configuration from the manifests of config/samples/quickstart.yaml. Three partners log
# in with OpenSSH in three ways, a file is uploaded and downloaded, and the daemon keeps running until Ctrl-C. Files, keys and
# passwords stay in out/try for the next run. TRY_ONCE=1 ends after the logins.
set -euo pipefail
shopt -s inherit_errexit
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/partners.sh
source hack/partners.sh

dir=out/try
host=127.0.0.1
port="${PORT:-2222}"
health_port="${HEALTH_PORT:-8081}"

for program in ssh-keygen sftp; do
	command -v "$program" >/dev/null || {
		echo "$program is missing: install OpenSSH's client" >&2
		exit 1
	}
done

CGO_ENABLED=0 GOFLAGS="-trimpath ${GOFLAGS:-}" hack/go-build.sh "operator and daemon" -o bin/ ./cmd/manager ./cmd/sftpd

make_credentials "$dir"
(
	umask 077
	secrets "$dir" >"$dir/secrets.yaml"
)
bin/manager render -f config/samples/quickstart.yaml -f "$dir/secrets.yaml" -o "$dir/config"

# known_hosts, from the host keys themselves: nothing is trusted blindly. ssh-keygen requires a file that only we can
# read.
: >"$dir/known_hosts"
for key in "$dir"/config/hostkey-*; do
	[[ $key == *.pub ]] && continue
	install -m 0600 -- "$key" "$dir/hostkey"
	printf '[%s]:%s %s\n' "$host" "$port" "$(ssh-keygen -y -f "$dir/hostkey" | cut -d' ' -f1,2)" >>"$dir/known_hosts"
	rm -f -- "$dir/hostkey"
done

bin/sftpd serve -config "$dir/config" -listen "$host:$port" -health "$host:$health_port" >"$dir/audit.log" 2>"$dir/sftpd.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null' EXIT
until (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do
	kill -0 "$daemon" 2>/dev/null || {
		cat "$dir/sftpd.log" >&2
		exit 1
	}
	sleep 0.1
done

echo
echo "==> acme logs in with a key, and 64 MiB go there and back"
head -c $((64 << 20)) /dev/urandom >"$dir/sent"
rm -f -- "$dir/received"
sftp_as acme "$dir" "$host" "$port" <<-EOF
	put $dir/sent try.bin
	get try.bin $dir/received
	ls -l
EOF
cmp -- "$dir/sent" "$dir/received"
for partner in bob carol; do
	case $partner in bob) how="a password" ;; *) how="a key and then a password" ;; esac
	echo "==> $partner logs in with $how"
	sftp_as $partner "$dir" "$host" "$port" <<<$'put config/samples/quickstart.yaml hello.yaml\nls -l'
done
echo "==> What the audit log says"
grep -h '"event":"\(login\|upload\|download\)' "$dir/audit.log" "$dir/sftpd.log" | cut -c1-200 || true
[[ ${TRY_ONCE:-} != 1 ]] || exit 0

cat <<EOF

Log in from another terminal, here in $(pwd):

  sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts acme@$host
  sftp -P $port -o PubkeyAuthentication=no -o UserKnownHostsFile=$dir/known_hosts bob@$host       # $(cat "$dir/bob.password")
  sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts carol@$host     # $(cat "$dir/carol.password")

Files are in $dir/config/volumes/data. Change config/samples/quickstart.yaml or a Secret, run
  bin/manager render -f config/samples/quickstart.yaml -f $dir/secrets.yaml -o $dir/config
and the daemon takes it up. Its audit log is $dir/audit.log. Ctrl-C ends it.

EOF
wait "$daemon"
