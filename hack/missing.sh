# shellcheck shell=bash
# Sourced by the checks. missing WHAT ends the check: well on a developer's machine, badly where CI=true.
missing() {
	echo "not here, so not checked: $1" >&2
	[[ ${CI:-} == true ]] && exit 1
	exit 0
}
