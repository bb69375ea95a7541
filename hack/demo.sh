#!/usr/bin/env bash
# The main use case, end to end, on this machine: a Kubernetes node, the operator, one endpoint, three partners who log in with
# OpenSSH in three ways, a file uploaded and downloaded again, and a program in the cluster that is notified of each upload. It
# can be run repeatedly; `make cluster-down` removes the node. Its files are in out/demo.
#
# CLUSTER=current uses kubectl's current cluster, if that is kind, k3d or minikube, which can load an image from a file; or any
# other with IMAGE=NAME:TAG, an image that its nodes can pull, for example one from `make image`.
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

# explain shows diagnostics if something does not become ready.
explain() {
	echo
	echo "It did not become ready. The objects say:" >&2
	kubectl -n "$namespace" get sftplisteners,sftpusers,sftpkeys,deployments,services,pods,persistentvolumeclaims -o wide >&2 || true
	# shellcheck disable=SC2016 # the dollars are the template's
	kubectl -n "$namespace" get sftplisteners,sftpusers \
		-o go-template='{{range .items}}{{$k := .kind}}{{$n := .metadata.name}}{{range .status.conditions}}{{if ne .status "True"}}{{$k}}/{{$n}} {{.type}}={{.status}} {{.reason}}: {{.message}}{{"\n"}}{{end}}{{end}}{{end}}' >&2 || true
	kubectl -n "$namespace" get events --sort-by=.lastTimestamp 2>&1 | tail -n 15 >&2 || true
	kubectl -n "$operator" logs -l app.kubernetes.io/name=sftp-operator --tail=30 >&2 || true
	echo "The reasons are explained in docs/troubleshooting.md. To look for yourself: export KUBECONFIG=${KUBECONFIG:-}" >&2
	exit 1
}

if [[ ${CLUSTER:-} == current ]]; then
	step "The cluster that kubectl uses"
	context="$(kubectl config current-context)"
else
	step "A Kubernetes node on this machine (the first time, it is built from source: minutes)"
	"$make" cluster-up # with DNS, which the last step needs
	KUBECONFIG="$("$make" --silent kubeconfig)"
	export KUBECONFIG
	PATH="$(bin/cluster assets):$PATH" # a kubectl of the node's version
	context=
fi
show kubectl get nodes

# from_chart installs a release as users do, from a registry: hack/release/node.sh.
from_chart() {
	step "The operator, by Helm"
	kubectl create namespace "$operator" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
	kubectl label --overwrite namespace "$operator" pod-security.kubernetes.io/enforce=restricted >/dev/null
	show "${HELM:-$(hack/tools/run.sh --path helm)}" upgrade --install sftp-operator "$DEMO_CHART" --plain-http --namespace "$operator" \
		--set image.repository="$DEMO_REPOSITORY" --hide-notes --wait --timeout 3m
}

# from_tree installs what is in this tree, with kubectl, which is available; building Helm takes a while.
from_tree() {
	local image
	step "The image with the operator and the daemon"
	if [[ -n $context && -n ${IMAGE:-} && $IMAGE != sftp-operator:dev ]]; then
		image="$IMAGE" # make's default is not a name that a cluster could pull
	else
		"$make" build
		# The tag identifies the content: a changed program is a changed image, and pods that run the old one are replaced.
		image="sftp-operator:demo-$(cat bin/manager bin/sftpd | sha256sum | cut -c1-12)"
		case "$context" in
		"") "$make" cluster-load IMAGE="$image" ;;
		kind-*) "$make" image IMAGE="$image" && kind load image-archive "$IMAGE_TAR" --name "${context#kind-}" ;;
		k3d-*) "$make" image IMAGE="$image" && k3d image import "$IMAGE_TAR" --cluster "${context#k3d-}" ;;
		minikube) "$make" image IMAGE="$image" && minikube image load "$IMAGE_TAR" ;;
		*)
			echo "The cluster $context needs the image: push the one that 'make image' builds to a registry it can pull from, and pass" >&2
			echo "its name: make demo CLUSTER=current IMAGE=NAME:TAG" >&2
			exit 2
			;;
		esac
	fi

	step "The operator"
	mkdir -p "$dir"
	cat >"$dir/kustomization.yaml" <<-EOF
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../../config/default]
		images:
		- {name: ghcr.io/sftp-operator/sftp-operator, newName: "${image%:*}", newTag: "${image##*:}"}
	EOF
	show kubectl apply --server-side --force-conflicts -k "$dir"
	echo "With Helm it is: helm install sftp-operator charts/sftp-operator --namespace $operator --create-namespace"
	show kubectl -n "$operator" rollout status deployment/sftp-operator-manager --timeout=3m
}

if [[ -n ${DEMO_CHART:-} ]]; then
	from_chart
else
	from_tree
fi
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
if [[ -n $context ]]; then
	# The Service's address may be known only inside that cluster.
	kubectl -n "$namespace" port-forward service/partners-sftp 2022:22 >"$dir/port-forward" 2>&1 &
	trap 'kill $! 2>/dev/null || true' EXIT
	until grep -q Forwarding "$dir/port-forward"; do
		sleep 0.2
		kill -0 $! || { cat "$dir/port-forward" >&2 && exit 1; }
	done
	address=127.0.0.1 port=2022
	sed -i "s/^[^ ]*/[$address]:$port/" "$dir/known_hosts"
fi
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
	echo "The downloaded file differs from the uploaded one." >&2
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
	printf 'carol should have been refused with only the key, but:\n%s\n' "$said" >&2
	exit 1
fi
echo "With only the key she is refused, as she should be."

step "A program in the cluster is told when a file arrives"
# It is in the same image, so that nothing has to be pulled.
image="$(kubectl -n "$namespace" get deployment partners-sftp -o jsonpath='{.spec.template.spec.containers[0].image}')"
sed "s|image: .*|image: $image|" hack/receiver.yaml >"$dir/receiver.yaml"
show kubectl apply --server-side --force-conflicts -f "$dir/receiver.yaml"
show kubectl -n "$namespace" patch sftplistener partners --type=merge -p '{"spec": {"uploads": {"publish": "OnClose"}, "events": {"sinks": [
  {"name": "jobs", "serviceRef": {"name": "receiver", "port": 8080}, "types": ["io.sftp-operator.file.published.v1"]}]}}}'
show kubectl -n "$namespace" rollout status deployment/receiver --timeout=2m || explain
show kubectl -n "$namespace" wait --for=condition=EventsDelivered --timeout=180s sftplistener/partners || explain
invoice="invoice-$(date +%s).csv"
sftp_as acme "$dir" "$address" "$port" <<-EOF
	put $dir/known_hosts $invoice
EOF
event=
for _ in {1..120}; do
	event="$(kubectl -n "$namespace" logs deployment/receiver --since=10m | grep -F "$invoice" || true)"
	[[ -z $event ]] || break
	sleep 0.5
done
[[ -n $event ]] || explain
echo "The receiver got this event. It could start a job now:"
echo "$event"

step "What Kubernetes shows"
show kubectl get sftplisteners,sftpusers,sftpkeys --all-namespaces

step "What the audit log says"
kubectl -n "$namespace" logs deployment/partners-sftp --since=5m | grep -E '"(acme|bob|carol)"' | tail -n 15 || true

step "Done. Continue by hand"
cat <<EOF
${KUBECONFIG:+export KUBECONFIG=$KUBECONFIG}
kubectl -n $namespace describe sftpuser acme

sftp -P $port -i $dir/partner_key -o IdentitiesOnly=yes -o UserKnownHostsFile=$dir/known_hosts acme@$address
sftp -P $port -o PubkeyAuthentication=no -o UserKnownHostsFile=$dir/known_hosts bob@$address    # password: $dir/bob.password

# Watch events arrive, while you upload something:
kubectl -n $namespace logs -f deployment/receiver

# Watch a session end: log in as acme in another terminal, then remove the key (make demo restores it):
kubectl -n $namespace delete secret acme-keys

# An endpoint of your own: see config/samples.
EOF
if [[ -z $context ]]; then
	echo
	echo "make cluster-down     # removes the node and everything on it"
else
	echo
	echo "kubectl delete -f config/samples/quickstart.yaml && kubectl delete -k $dir     # removes everything"
fi
