#!/usr/bin/env bash
# Is every go.mod and go.sum what `go mod tidy` would write, and does the development cluster use the same versions as the project
# of the modules that both use? If not, the first `make demo` compiles them twice: the operator alone took 250 s of CPU time instead
# of 40.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

status=0
while IFS= read -r -d '' file; do
	directory="$(dirname -- "$file")"
	if ! go -C "$directory" mod tidy -diff; then
		echo "$file is not tidy: run 'go -C $directory mod tidy'" >&2
		status=1
	fi
done < <(files go.mod '*/go.mod')

# versions prints the modules that a go.mod requires, with the version that is used.
versions() {
	awk '$2 == "=>" { version[$1] = $4 } $1 ~ /\./ && $2 ~ /^v/ && !($1 in version) { version[$1] = $2 }
		END { for (module in version) print module, version[module] }' "$1" | sort
}
for program in kubernetes coredns networkpolicies; do
	directory="hack/cluster/$program"
	while read -r module version other; do
		if [[ $version != "$other" ]]; then
			echo "go.mod has $module $version, $directory/go.mod $other: run 'go -C $directory get $module@$version && go -C $directory mod tidy'," >&2
			echo "or the other way around if the program needs the newer one" >&2
			status=1
		fi
	done < <(join <(versions go.mod) <(versions "$directory/go.mod"))
done
exit "$status"
