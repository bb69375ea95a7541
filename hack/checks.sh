# shellcheck shell=bash
# Shared functions of the checks, which source this file.

# missing WHAT ends the check: successfully on a developer's machine, as a failure if CI=true.
missing() {
	echo "skipped, because it is missing: $1" >&2
	[[ ${CI:-} == true ]] && exit 1
	exit 0
}

# files PATTERN... prints the files of the tree that match, NUL after each: tracked ones unless deleted, and new ones
# unless ignored.
files() {
	local file
	git ls-files -z --cached --others --exclude-standard -- "$@" |
		while IFS= read -r -d '' file; do
			if [[ -e $file ]]; then
				printf '%s\0' "$file"
			fi
		done
}
