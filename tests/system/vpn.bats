#!/usr/bin/env bats
# The tunnels to a site's stores, between two real daemons of strongSwan in networks of their own.
# The store's end is set up from the sheet alone.

bats_require_minimum_version 1.5.0
load lib

psk='Correct horse; battery "staple" #1'

setup() {
	dir=$(mktemp -d)
	cloud=pmc$$
	store=pms$$
	mkdir -p "$dir/recipes/sites" "$dir/signing" "$dir/swanctl/conf.d"
	cp signing/policy.yaml "$dir/signing/"
	printf '%s\n' "$psk" >"$dir/psk"
	chmod 600 "$dir/psk"
	# as Debian ships it
	echo 'include conf.d/*.conf' >"$dir/swanctl/swanctl.conf"
	pids=()
}

teardown() {
	local p
	for p in "${pids[@]}"; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	ip netns del "$cloud" 2>/dev/null
	ip netns del "$store" 2>/dev/null
	rm -rf "$dir"
}

# The site with one peer, whose keys are the arguments.
site() {
	cat >"$dir/recipes/sites/s.yaml" <<-YAML
		posmedia: 1
		shop: "123"
		environment: qa
		image: {reference: "oci:out/tiny:1", policy: signing/policy.yaml}
		hostname: h
		data: [{name: d, at: /d}]
		secrets: [{name: shared, file: $dir/psk}]
		vpn:
		  address: 198.51.100.2
		  id: pos.123.example
		  networks: [192.168.222.0/24]
		  peers:
		    - {name: store, address: 198.51.100.1, id: store.123.example,
		       networks: [192.168.22.0/24], secret: shared$1}
	YAML
}

vpn() {
	run --separate-stderr "$posmedia" vpn -o "$dir/swanctl" --sheets "$dir/sheets" \
		"$dir/recipes/sites/s.yaml"
}

networks() {
	ip netns add "$cloud"
	ip netns add "$store"
	ip link add v0 netns "$store" type veth peer name v1 netns "$cloud"
	local n
	for n in "$store v0 198.51.100.1/24 192.168.22.1/24" \
		"$cloud v1 198.51.100.2/24 192.168.222.222/24"; do
		# shellcheck disable=SC2086 # four words
		set -- $n
		ip -n "$1" link set lo up
		ip -n "$1" link set "$2" up
		ip -n "$1" addr add "$3" dev "$2"
		ip -n "$1" addr add "$4" dev lo
	done
}

# A daemon in network $1; kernel-libipsec does what this kernel may not have, ESP.
charon() {
	local plugins='random nonce openssl aes sha1 sha2 hmac kdf gcm ctr cbc curve25519 gmp pem'
	plugins+=' pkcs1 pkcs8 x509 pubkey constraints kernel-libipsec kernel-netlink'
	plugins+=' socket-default vici updown'
	cat >"$dir/$1.conf" <<-CONF
		charon {
			load = $plugins
			install_routes = yes
			filelog { all { path = $dir/$1.log
				default = 2
				flush_line = yes } }
			plugins { vici { socket = unix://$dir/$1.vici } }
		}
	CONF
	# shellcheck disable=SC2016 # expanded inside
	ip netns exec "$1" unshare -m sh -c '
		mount -t tmpfs none /run && STRONGSWAN_CONF=$0 exec /usr/lib/ipsec/charon' \
		"$dir/$1.conf" >"$dir/$1.out" 2>&1 3>&- &
	pids+=($!)
	wait_for 20 swanctl --stats --uri "unix://$dir/$1.vici"
}

swanctl_of() {
	local net=$1
	shift
	swanctl "$@" --uri "unix://$dir/$net.vici"
}

# The value of a line of the sheet.
sheet() {
	sed -n "s/^  $1  *//p" "$dir/sheets/123-qa/store.txt"
}

# A router that is set up from the sheet, with the secret that it is given.
router() {
	local version=2 ike=aes256gcm16-prfsha256-modp2048 esp=aes256gcm16-modp2048
	if [ "$(sheet Version)" != IKEv2 ]; then
		version=1 ike=aes256-sha256-modp2048 esp=aes256-sha256-modp2048
	fi
	[[ $(sheet 'Diffie-Hellman group') == *MODP\ 2048* ]]
	cat >"$dir/router.conf" <<-CONF
		connections { pos {
			version = $version
			local_addrs = $(sheet 'Router, address')
			remote_addrs = $(sheet 'POS, address (peer)')
			proposals = $ike
			local { auth = psk
				id = $(sheet 'Router, identity (local id)') }
			remote { auth = psk
				id = $(sheet 'POS, identity (remote id)') }
			children { net {
				local_ts = $(sheet 'Router, networks (local)')
				remote_ts = $(sheet 'POS, networks (remote)')
				esp_proposals = $esp
			} }
		} }
		secrets { ike-pos { secret = 0s$(printf %s "$1" | base64 -w0) } }
	CONF
	swanctl_of "$store" --load-all --file "$dir/router.conf"
}

up() {
	swanctl_of "$cloud" --load-all --file "$dir/swanctl/swanctl.conf"
	wait_for 20 sh -c "swanctl --list-sas --uri 'unix://$dir/$cloud.vici' | grep -q INSTALLED"
}

# What status says of the tunnel, of a record as a staging leaves it; no engine is needed for that.
tunnel_is() {
	local own=$dir/srv/123/qa/.posmedia any
	any=sha256:$(printf 'a%.0s' {1..64})
	mkdir -p "$own"
	"$posmedia" stage --check --json "$dir/recipes/sites/s.yaml" >"$dir/checked"
	jq -c .site "$dir/checked" >"$own/aaaaaaaaaaaaaaaa.site"
	jq --arg any "$any" '{current: {container: "pos-123-qa-a", identity: "localhost/tiny:1",
		generation: $any, manifest: $any, config: $any, site: .digest}}' "$dir/checked" \
		>"$own/state.json"
	run --separate-stderr "$posmedia" status --json --state "$dir/srv" \
		--engine "$dir/none" --vici "unix://$dir/$cloud.vici"
	[ "$(jq -c '.[0].tunnels' <<<"$output")" = "[{\"peer\":\"store\",\"up\":$1}]" ] ||
		{ echo "$output"; false; }
}

@test "a tunnel comes up by itself, carries a ping, and its secret is nowhere" {
	site ''
	vpn
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	networks
	charon "$cloud"
	charon "$store"
	router "$psk"
	up
	swanctl_of "$cloud" --list-sas >"$dir/sas"
	cat "$dir/sas"
	grep -q '^123-qa_store: #[0-9]*, ESTABLISHED, IKEv2' "$dir/sas"
	grep -q 'AES_GCM_16-256/PRF_HMAC_SHA2_256/MODP_2048' "$dir/sas"
	ip netns exec "$store" ping -c 3 -i 0.2 -W 2 -I 192.168.22.1 192.168.222.222
	ip netns exec "$cloud" ping -c 3 -i 0.2 -W 2 -I 192.168.222.222 192.168.22.1
	[ "$(stat -c %a "$dir/swanctl/posmedia/123-qa.secrets")" = 600 ]
	[ "$(stat -c %a "$dir/swanctl/posmedia")" = 700 ]
	# in no form: not in the logs, the sheets, what was said, or the connections
	local encoded
	encoded=$(printf %s "$psk" | base64 -w0)
	run grep -rlF -e "$psk" -e "$encoded" -e 'battery' "$dir" --exclude=psk
	sort <<<"$output" | diff - <(printf '%s\n' "$dir/router.conf" \
		"$dir/swanctl/posmedia/123-qa.secrets")
}

@test "a wrong secret is refused by both ends" {
	site ''
	vpn
	networks
	charon "$cloud"
	charon "$store"
	router 'another horse, another battery'
	swanctl_of "$cloud" --load-all --file "$dir/swanctl/swanctl.conf"
	wait_for 20 grep -q "N(AUTH_FAILED)" "$dir/$cloud.log"
	run swanctl_of "$store" --initiate --child net --timeout 5
	[ "$status" -ne 0 ]
	[[ $output == *AUTHENTICATION_FAILED* ]]
	run swanctl_of "$cloud" --list-sas
	[[ $output != *ESTABLISHED* ]]
	run ip netns exec "$store" ping -c 1 -W 1 -I 192.168.22.1 192.168.222.222
	[ "$status" -ne 0 ]
}

@test "a router that calls is answered, and not called" {
	site ', wait: true'
	tunnel_is null
	vpn
	networks
	charon "$cloud"
	charon "$store"
	router "$psk"
	swanctl_of "$cloud" --load-all --file "$dir/swanctl/swanctl.conf"
	[[ $(sheet 'Who calls') == 'the router' ]]
	run swanctl_of "$cloud" --list-sas
	[ -z "$output" ]
	tunnel_is false
	swanctl_of "$store" --initiate --child net --timeout 10
	tunnel_is true
	ip netns exec "$store" ping -c 1 -W 2 -I 192.168.22.1 192.168.222.222
}

@test "IKEv1 only when it is asked for, with a finding, and it works" {
	site ', ike: 1'
	vpn
	[ "$status" -eq 0 ]
	[[ $output == *'finding: '*'s.yaml:13:7: IKEv1'* ]] || { echo "$output"; false; }
	networks
	charon "$cloud"
	charon "$store"
	router "$psk"
	up
	swanctl_of "$cloud" --list-sas | grep -q 'ESTABLISHED, IKEv1'
	ip netns exec "$store" ping -c 1 -W 2 -I 192.168.22.1 192.168.222.222
}

@test "the control of tunnels holds for what is written, and sees IKEv1" {
	local tree=$dir/tree
	mkdir -p "$tree/etc" "$tree/usr"
	ln -s "$dir/swanctl" "$dir/link"
	audit() {
		rm -rf "$tree/etc/swanctl"
		cp -a "$dir/swanctl" "$tree/etc/swanctl"
		"$posmedia" audit --target machine --fail-on never --all --json "dir:$tree" |
			jq -r '.. | objects | select(.id? == "RMT-01") | .status'
	}
	site ''
	vpn
	[ "$(audit)" = pass ] || { audit; false; }
	site ', ike: 1'
	vpn
	[ "$(audit)" = fail ]
}
