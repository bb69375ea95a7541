# shellcheck shell=bash
# Sourced by demo.sh and try.sh: the three partners of config/samples/quickstart.yaml, whose key and passwords are created on
# the spot, and how to log in as each with OpenSSH.

# The clients of the demo.
hack/install-packages.sh openssh-client

# make_credentials DIR: creates what does not exist yet; a second run reuses it.
make_credentials() {
	local dir="$1" who
	mkdir -p -- "$dir"
	chmod 700 -- "$dir"
	[[ -f $dir/partner_key ]] || ssh-keygen -q -t ed25519 -N '' -C partner -f "$dir/partner_key"
	for who in bob carol; do
		[[ -f $dir/$who.password ]] || (
			umask 077
			printf '%s' "$(head -c 18 /dev/urandom | base64)" >"$dir/$who.password"
		)
		# What OpenSSH runs instead of asking at the terminal.
		printf '#!/bin/sh\ncat "%s"\n' "$(cd -- "$dir" && pwd)/$who.password" >"$dir/$who.askpass"
		chmod 700 -- "$dir/$who.askpass"
	done
}

# secrets DIR: prints the Secrets that the sample's logins refer to.
secrets() {
	local dir="$1" who
	for who in acme carol; do
		cat <<-EOF
			---
			apiVersion: v1
			kind: Secret
			metadata:
			  name: $who-keys
			  namespace: sftp-demo
			data:
			  authorized_keys: $(base64 <"$dir/partner_key.pub" | tr -d '\n')
		EOF
	done
	for who in bob carol; do
		cat <<-EOF
			---
			apiVersion: v1
			kind: Secret
			metadata:
			  name: $who-password
			  namespace: sftp-demo
			type: kubernetes.io/basic-auth
			data:
			  password: $(base64 <"$dir/$who.password" | tr -d '\n')
		EOF
	done
}

# sftp_as WHO DIR HOST PORT: runs the commands on its standard input as that partner, with OpenSSH's sftp. The host key
# must be in DIR/known_hosts; nothing of the user's own configuration or agent is used.
sftp_as() {
	local who="$1" dir="$2" host="$3" port="$4"
	local options=(
		-F /dev/null
		-o UserKnownHostsFile="$dir/known_hosts" -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes
		-o IdentityAgent=none -o IdentitiesOnly=yes -o ConnectTimeout=15 -o LogLevel=ERROR
		-o NumberOfPasswordPrompts=1
	)
	case "$who" in
	acme) options+=(-o PreferredAuthentications=publickey -i "$dir/partner_key") ;;
	bob) options+=(-o PreferredAuthentications=password -o PubkeyAuthentication=no) ;;
	carol) options+=(-o "PreferredAuthentications=publickey,password" -i "$dir/partner_key") ;;
	esac
	# BatchMode comes before -b, which would forbid passwords.
	SSH_ASKPASS="$dir/$who.askpass" SSH_ASKPASS_REQUIRE=force \
		sftp "${options[@]}" -o BatchMode=no -P "$port" -b - "$who@$host"
}
