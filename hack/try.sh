#!/usr/bin/env bash
# The daemon alone, on this machine, in seconds: no cluster, no root. `manager render` makes the same decisions as the
# operator in a cluster, and writes the daemon's configuration from the manifests of config/samples/quickstart.yaml.
# Ctrl-C ends it. Files, keys and passwords stay in out/try for the next time.
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

echo "building"
go build -o bin/ ./cmd/manager ./cmd/sftpd

make_credentials "$dir"
(
	umask 077
	secrets "$dir" >"$dir/secrets.yaml"
)
bin/manager render -f config/samples/quickstart.yaml -f "$dir/secrets.yaml" -o "$dir/config"

# known_hosts, from the host keys themselves: nothing is taken on trust. ssh-keygen wants a file that is ours alone.
: >"$dir/known_hosts"
for key in "$dir"/config/hostkey-*; do
	[[ $key == *.pub ]] && continue
	install -m 0600 -- "$key" "$dir/hostkey"
	printf '[%s]:%s %s\n' "$host" "$port" "$(ssh-keygen -y -f "$dir/hostkey" | cut -d' ' -f1,2)" >>"$dir/known_hosts"
	rm -f -- "$dir/hostkey"
done

cat <<EOF

Log in from another terminal, here in $(pwd):

  sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts acme@$host
  sftp -P $port -o PubkeyAuthentication=no -o UserKnownHostsFile=$dir/known_hosts bob@$host       # $(cat "$dir/bob.password")
  sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts carol@$host     # $(cat "$dir/carol.password")

Files are in $dir/config/volumes/data. Change config/samples/quickstart.yaml or a Secret, run
  bin/manager render -f config/samples/quickstart.yaml -f $dir/secrets.yaml -o $dir/config
and the daemon takes it up. Ctrl-C ends it.

EOF
exec bin/sftpd serve -config "$dir/config" -listen "$host:$port" -health "$host:$health_port"
