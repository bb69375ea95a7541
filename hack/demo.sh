#!/usr/bin/env bash
# The main job, end to end, on this machine: a Kubernetes node, the operator by Helm, one endpoint, three partners who
# log in with OpenSSH in three ways, and a file there and back. It can be run again and again; `make cluster-down`
# removes the node. What it makes on the way is in out/demo.
set -euo pipefail
shopt -s inherit_errexit
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/partners.sh
source hack/partners.sh

make="${MAKE:-make}"
dir=out/demo
namespace=sftp-demo
operator=sftp-operator-system
mebibytes=64

step() {
	printf '\n\033[1m==> %s\033[0m   (%ds)\n' "$1" "$SECONDS"
}

# show prints a command as it could be typed, and runs it.
show() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}

# explain tells what there is to see if something does not become ready.
explain() {
	echo
	echo "It did not become ready. What the objects say:" >&2
	kubectl -n "$namespace" get sftplisteners,sftpusers,sftpkeys,deployments,services,pods,persistentvolumeclaims -o wide >&2 || true
	# shellcheck disable=SC2016 # the dollars are the template's
	kubectl -n "$namespace" get sftplisteners,sftpusers \
		-o go-template='{{range .items}}{{$k := .kind}}{{$n := .metadata.name}}{{range .status.conditions}}{{if ne .status "True"}}{{$k}}/{{$n}} {{.type}}={{.status}} {{.reason}}: {{.message}}{{"\n"}}{{end}}{{end}}{{end}}' >&2 || true
	kubectl -n "$namespace" get events --sort-by=.lastTimestamp 2>&1 | tail -n 15 >&2 || true
	kubectl -n "$operator" logs deployment/sftp-operator --tail=30 >&2 || true
	echo "The reasons are explained in docs/troubleshooting.md. To look yourself: export KUBECONFIG=$KUBECONFIG" >&2
	exit 1
}

step "A Kubernetes node on this machine (the first time, it is built from source: minutes)"
"$make" cluster-up
KUBECONFIG="$("$make" --silent kubeconfig)"
export KUBECONFIG
PATH="$(bin/cluster assets):$PATH" # kubectl of the node's own version
helm="${HELM:-$(hack/tools/run.sh --path helm)}"
show kubectl get nodes

step "The image with the operator and the daemon"
"$make" build
# The tag tells the content: a changed program is a changed image, and pods that run the old one are replaced.
tag="demo-$(cat bin/manager bin/sftpd | sha256sum | cut -c1-12)"
"$make" cluster-load IMAGE="sftp-operator:$tag"

step "The operator, by Helm"
kubectl create namespace "$operator" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
kubectl label --overwrite namespace "$operator" pod-security.kubernetes.io/enforce=restricted >/dev/null
show "$helm" upgrade --install sftp-operator charts/sftp-operator --namespace "$operator" \
	--set image.repository=sftp-operator --set image.tag="$tag" --hide-notes --wait --timeout 3m
show kubectl -n "$operator" get deployments,pods

step "One endpoint and three logins"
make_credentials "$dir"
show kubectl apply --server-side --force-conflicts -f config/samples/quickstart.yaml
secrets "$dir" | kubectl apply --server-side --force-conflicts -f -
show kubectl -n "$namespace" wait --for=condition=Ready --timeout=180s \
	sftplistener/partners sftpuser/acme sftpuser/bob sftpuser/carol || explain
address="$(kubectl -n "$namespace" get sftplistener partners -o jsonpath='{.status.addresses[0].value}')"
port="$(kubectl -n "$namespace" get sftplistener partners -o jsonpath='{.status.addresses[0].port}')"
kubectl -n "$namespace" get sftplistener partners \
	-o jsonpath='{range .status.knownHosts[*]}{@}{"\n"}{end}' >"$dir/known_hosts"
echo "Clients connect to $address port $port, and know the endpoint by these lines of its status:"
cat "$dir/known_hosts"

step "acme logs in with a key, and $mebibytes MiB go there and back"
head -c $((mebibytes * 1024 * 1024)) /dev/urandom >"$dir/sent"
rm -f -- "$dir/received"
time sftp_as acme "$dir" "$address" "$port" <<-EOF
	put $dir/sent demo.bin
	get demo.bin $dir/received
	ls -l
EOF
sums="$(sha256sum "$dir/sent" "$dir/received")"
echo "$sums"
[[ "$(cut -d' ' -f1 <<<"$sums" | uniq | wc -l)" == 1 ]] || {
	echo "The file that came back is another one." >&2
	exit 1
}

step "bob logs in with a password"
sftp_as bob "$dir" "$address" "$port" <<-EOF
	put $dir/known_hosts hello.txt
	ls -l
EOF

step "carol needs her key and her password"
sftp_as carol "$dir" "$address" "$port" <<-EOF
	put $dir/known_hosts hello.txt
	ls -l
EOF
if said="$(sftp -F /dev/null -i "$dir/partner_key" -o IdentityAgent=none -o IdentitiesOnly=yes \
	-o UserKnownHostsFile="$dir/known_hosts" -o StrictHostKeyChecking=yes \
	-P "$port" -b - "carol@$address" <<<"ls" 2>&1)" || [[ $said != *"Permission denied"* ]]; then
	printf 'carol should have been refused with the key alone, but:\n%s\n' "$said" >&2
	exit 1
fi
echo "With the key alone she is refused, as she should be."

step "What Kubernetes shows"
show kubectl get sftplisteners,sftpusers,sftpkeys --all-namespaces

step "What the audit log says"
kubectl -n "$namespace" logs deployment/partners-sftp --since=5m | grep -E '"(acme|bob|carol)"' | tail -n 15 || true

step "Done. Go on by hand"
cat <<EOF
export KUBECONFIG=$KUBECONFIG
kubectl -n $namespace describe sftpuser acme

sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts acme@$address
sftp -P $port -o PubkeyAuthentication=no -o UserKnownHostsFile=$dir/known_hosts bob@$address    # password: $dir/bob.password

# Watch a session end: log in as acme in another terminal, then take the key away (make demo puts it back):
kubectl -n $namespace delete secret acme-keys

# An endpoint of your own: see config/samples. The chart's own test:
$helm test sftp-operator --namespace $operator

make cluster-down     # removes the node and all that is on it
EOF
