#!/usr/bin/env bats
# The shop's own network of an instance: an address on the host's interface, behind a filter, and
# the interface back on the host when the instance ends.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load life
load network

setup_file() {
	load lib
	load tiny
	load stage
	stage_set_up_file
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up
}

teardown() {
	stop_host
	rm -rf "$dir"
}

# The site with an address on lan0, or on card0 itself; and what else its network and it have.
lan() {
	site dev "network: {interface: lan0, address: 192.0.2.$1/24, gateway: 192.0.2.1${2-}}
health: [{name: web, tcp: 8080, within: 20s}]"
}
card() {
	site dev "network: {interface: card0, mode: move, address: 198.51.100.$1/24}
limits: {files: ${2-2000}}"
}

# Fails the test when the command does not fail.
not() {
	! "$@" || { echo "this should fail: $*"; return 1; }
}

nothing_runs() {
	[ -z "$(running)" ]
}

started() {
	ask "/containers/$(running)/json" | jq -c '[.Id,.State.StartedAt]'
}

has_address() {
	lan 9 ', dns: [192.0.2.53, 192.0.2.54], routes: [{to: 10.9.9.0/24, via: 192.0.2.1}]'
	stage --dry-run recipes/sites/dev.yaml
	succeeded
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == *"gave 192.0.2.9/24 to pos-123-dev-"* ]]
	branch ping -c 1 -W 2 192.0.2.9
	answers 192.0.2.9 8080
	instance ping -c 1 -W 2 10.9.9.9
	# where a cloud has the credentials of the host's role
	not instance ping -c 1 -W 1 169.254.169.254
	# what nobody declared is not answered, though somebody listens
	nsenter --net="/proc/$(pid_of)/ns/net" busybox httpd -f -p 8081 \
		-h "$dir/srv/123/dev/usr2" 3>&- &
	listener=$!
	wait_for 5 instance curl -s -m 2 -o /dev/null http://127.0.0.1:8081/catalogue
	not answers 192.0.2.9 8081 1
	kill "$listener"
	listener=
	not_by_loopback
	# the host routes, the instance does not
	[ "$(host cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
	[ "$(instance cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
	[ "$(inside 'cat /etc/resolv.conf' | grep -c '^nameserver 192.0.2.5[34]$')" -eq 2 ]
	[ "$(inside 'grep -c "^192.0.2.9.*shop123-dev" /etc/hosts')" -eq 1 ]
	[ "$(ask "/containers/$(running)/json" | jq -r .HostConfig.RestartPolicy.Name)" = no ]
}

# Nobody in the network is answered at an address of loopback, where a kernel would.
not_by_loopback() {
	instance tee /proc/sys/net/ipv4/conf/eth0/route_localnet <<<1 >/dev/null
	branch ip -batch - <<-'LINES'
		rule add lookup local pref 9
		rule add to 127.9.9.9 lookup 99 pref 8
		rule del pref 0
		route add 127.9.9.9/32 via 192.0.2.9 dev lan1 src 192.0.2.1 table 99
	LINES
	branch tee /proc/sys/net/ipv4/conf/lan1/route_localnet <<<1 >/dev/null
	not answers 127.9.9.9 8080 1
	instance curl -s -m 2 -o /dev/null http://127.9.9.9:8080/catalogue
	instance tee /proc/sys/net/ipv4/conf/eth0/route_localnet <<<0 >/dev/null
	branch ip rule del pref 8
}

stays_so() {
	local before from
	before=$(started)
	from=$(date +%s%N)
	stage recipes/sites/dev.yaml
	succeeded
	echo "# a second stage: $((($(date +%s%N) - from) / 1000000)) ms" >&3
	[[ $output == 'nothing changed'* ]]
	# what is taken away comes back, and nothing is started for it
	instance nft delete table inet posmedia
	stage --dry-run recipes/sites/dev.yaml
	[[ $output == *'would: gave 192.0.2.9/24'* ]] || { echo "$output $stderr"; false; }
	not instance nft list table inet posmedia
	instance ping -c 1 -W 2 169.254.169.254
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 192.0.2.9/24'* ]]
	instance nft list table inet posmedia
	# rules of an older posmedia give way to those of this one
	nft_of=$(echo "$dir"/srv/123/dev/.posmedia/*.nft)
	sed -i '/169.254/d; s/comment "sha256:../comment "sha256:zz/' "$nft_of"
	instance nft -f "$nft_of"
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 192.0.2.9/24'* ]]
	not instance ping -c 1 -W 1 169.254.169.254
	instance ip route del 10.9.9.0/24
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 192.0.2.9/24'* ]]
	instance ping -c 1 -W 2 10.9.9.9
	# what has the name and is not ours is nothing to replace
	instance ip link set eth0 address 02:00:00:00:00:77
	instance nft delete table inet posmedia
	stage recipes/sites/dev.yaml
	refused 4 'has an interface eth0 that nobody gave it'
	instance ip link del eth0
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 192.0.2.9/24'* ]]
	[ "$(started)" = "$before" ]
}

# Each of these is refused with its place, and what runs runs on.
refusals() {
	local before
	before=$(started)
	branch ip address add 192.0.2.10/24 dev lan1
	lan 10
	stage recipes/sites/dev.yaml
	refused 3 'recipes/sites/dev.yaml:11:10: network: the address 192.0.2.10 is in use: '
	branch ip address del 192.0.2.10/24 dev lan1
	lan 10 ', mode: ipvlan'
	stage recipes/sites/dev.yaml
	refused 1 'network: no ipvlan of lan0: ip: '
	[[ $stderr == *'modprobe ipvlan'* ]]
	site dev 'network: {interface: nope0, address: 192.0.2.10/24}'
	stage recipes/sites/dev.yaml
	refused 3 'dev.yaml:11:10: network: there is no interface nope0'
	site dev 'network: {interface: lo, address: 192.0.2.10/24}'
	stage recipes/sites/dev.yaml
	refused 3 'network: lo is no Ethernet interface'
	site dev 'network: {interface: lan0, address: 198.51.100.5/24}'
	stage recipes/sites/dev.yaml
	refused 3 "network: 198.51.100.5/24 is the host's own address, of card0"
	lan 10 ", mac: $(host ip -br link show lan0 | grep -o '..:..:..:..:..:..')"
	stage recipes/sites/dev.yaml
	refused 3 'is the card of lan0'
	branch ip link set card1 down
	site dev 'network: {interface: card0, address: 192.0.2.10/24}'
	stage recipes/sites/dev.yaml
	refused 3 'network: card0 has no link'
	host ip link set card0 down
	stage recipes/sites/dev.yaml
	refused 3 'network: card0 is down'
	branch ip link set card1 up
	host ip link set card0 up
	[ "$(started)" = "$before" ]
	answers 192.0.2.9 8080
}

# The instance dies with its monitor, and its engine does not notice; its number is a stranger's.
lost() {
	local pid
	pid=$(pid_of)
	kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
	wait_for 5 gone "$pid"
	stage --dry-run recipes/sites/dev.yaml
	[[ $output == *'would: made'* ]] || { echo "$output $stderr"; false; }
	wait_for 5 takes "$pid"
	wait_for 5 apart "$pid"
	[ "$(pid_of)" = "$pid" ]
	stage recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.9 8080
	not nsenter --net="/proc/$pid/ns/net" ip link show eth0
	kill "$pid"
	listener=
}

gone() {
	[ ! -e "/proc/$1" ]
}

# Whether a process of ours got that number.
takes() {
	echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
	unshare --net sleep infinity 3>&- &
	listener=$!
	[ "$listener" = "$1" ] || { kill "$listener"; return 1; }
}

# Another customer on the same host and interface.
neighbour() {
	local first
	first=$(running)
	lan 9
	sed 's/shop: "123"/shop: "456"/' "$dir/recipes/sites/dev.yaml" >"$dir/recipes/sites/b.yaml"
	stage recipes/sites/b.yaml
	refused 3 'network: 192.0.2.9/24 is the address of shop 123 in dev'
	lan 12 ", mac: $(instance ip -br link show eth0 | grep -o '02:[0-9a-f:]*')"
	sed -i 's/shop: "123"/shop: "456"/' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	refused 3 'is the card of shop 123 in dev'
	site dev 'network: {interface: lan0, mode: move, address: 192.0.2.12/24}'
	sed -i 's/shop: "123"/shop: "456"/' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	refused 3 'network: lan0 belongs to shop 123 in dev'
	sed -i 's/address: 192.0.2.9/address: 192.0.2.12/' "$dir/recipes/sites/b.yaml"
	stage recipes/sites/b.yaml
	succeeded
	answers 192.0.2.9 8080
	answers 192.0.2.12 8080
	# what the other has must be known
	lan 12
	mv "$dir"/srv/456/dev/.posmedia/*.site "$dir/other.site"
	stage recipes/sites/dev.yaml
	refused 7 "which network the site in $dir/srv/456/dev/.posmedia has is not known"
	mv "$dir/other.site" "$(echo "$dir"/srv/456/dev/.posmedia/*.nft | sed 's/nft$/site/')"
	stage recipes/sites/dev.yaml
	refused 3 'network: 192.0.2.12/24 is the address of shop 456 in dev'
	# the branch sees both, and they do not see each other
	local pid
	pid=$(ask "/containers/$(running | grep pos-456-)/json" | jq .State.Pid)
	nsenter -t "$pid" -n ping -c 1 -W 1 192.0.2.1
	not nsenter -t "$pid" -n ping -c 1 -W 1 192.0.2.9
	ask "/containers/$(running | grep pos-456-)?force=1" -X DELETE
	rm -rf "$dir/srv/456"
	[ "$(running)" = "$first" ]
}

changed_address() {
	local image mac
	inside 'echo sale >>/usr2/sales'
	image=$(ask "/containers/$(running)/json" | jq .Image)
	mac=$(branch ip neigh show 192.0.2.9 | grep -o '02:[0-9a-f:]*')
	lan 11
	stage recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.11 8080
	not branch ping -c 1 -W 1 192.0.2.9
	[ "$(inside 'cat /usr2/sales')" = sale ]
	[ "$(ask "/containers/$(running)/json" | jq .Image)" = "$image" ]
	[ "$(branch ip neigh show 192.0.2.11 | grep -o '02:[0-9a-f:]*')" = "$mac" ]
	stage --rollback recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.9 8080
	not branch ping -c 1 -W 1 192.0.2.11
	# its end is the address's end, and it comes back; a mount namespace that anybody on this
	# machine makes meanwhile keeps the network until dockerd looks for such, once a minute
	kill -KILL "$(pid_of)"
	wait_for 75 is_silent 192.0.2.9
	lan 9 ', dns: [192.0.2.53, 192.0.2.54], routes: [{to: 10.9.9.0/24, via: 192.0.2.1}]'
	stage recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.9 8080
}

is_silent() {
	! branch ping -c 1 -W 1 "$1"
}

# The network of one that crashed is kept by a stranger's mount namespace, which has a copy of the
# file by which dockerd holds it.
kept_by_a_stranger() {
	unshare --mount sleep infinity 3>&- &
	holder=$!
	wait_for 5 mounts_apart "$holder"
	watch
	wait_for 20 told READY=1
	branch ping -c 1 -W 2 192.0.2.9
	kill -KILL "$(pid_of)"
	watch_ends
	[ "$status" -eq 1 ] || { echo "$status"; cat "$dir/said"; false; }
	is_silent 192.0.2.9
	kill "$holder"
	# nobody saw it end: the next waits for it
	stage recipes/sites/dev.yaml
	succeeded
	unshare --mount sleep 9 3>&- &
	holder=$!
	wait_for 5 mounts_apart "$holder"
	kill -KILL "$(pid_of)"
	stage recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.9 8080
}

mounts_apart() {
	[ "$(readlink "/proc/$1/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
}

# An interface of the host itself.
moved() {
	local before first
	before=$(card0)
	card 7
	stage recipes/sites/dev.yaml
	succeeded
	first=$(running)
	not host ip link show card0
	answers 198.51.100.7 8080
	not answers 192.0.2.9 8080 1
	stage recipes/sites/dev.yaml
	[[ $output == 'nothing changed'* ]]
	# what the host will have again is its own
	site dev 'network: {interface: lan0, address: 198.51.100.5/24}'
	stage recipes/sites/dev.yaml
	refused 3 "198.51.100.5/24 is the host's own address, of card0"
	host ip link add card0 type veth peer name cx0
	card 7 2001
	stage recipes/sites/dev.yaml
	refused 3 'network: the host has another card0'
	[ "$(running)" = "$first" ]
	host ip link del card0
	# from one instance to the next, and back
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" != "$first" ]
	answers 198.51.100.7 8080
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$first" ]
	answers 198.51.100.7 8080
	# its end does not take the interface along
	kill -KILL "$(pid_of)"
	wait_for 10 nothing_runs
	card 7
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$first" ]
	answers 198.51.100.7 8080
	kill -KILL "$(pid_of)"
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == *'brought card0 back'* ]]
	[ "$(card0)" = "$before" ] || { diff <(echo "$before") <(card0); false; }
	[ -z "$(find "$dir/run" -name '*.interface')" ]
}

# One that is down on the host is asked from the instance, and goes back as it was.
asked_late() {
	local before
	host ip link set card0 down
	host ip route del 203.0.113.128/25
	host ip -6 route flush 2001:db8:3::/48
	before=$(card0)
	branch ip address add 198.51.100.7/24 dev card1
	card 7
	stage recipes/sites/dev.yaml
	refused 3 'network: the address 198.51.100.7 is in use: '
	[ "$(card0)" = "$before" ] || { diff <(echo "$before") <(card0); false; }
	branch ip address del 198.51.100.7/24 dev card1
	stage recipes/sites/dev.yaml
	succeeded
	answers 198.51.100.7 8080
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(card0)" = "$before" ]
	host ip link set card0 up
}

# Records of a move that are lost or damaged, and a name that is taken on the host.
bad_records() {
	local at=$dir/run/123-dev.interface
	card 7
	stage recipes/sites/dev.yaml
	succeeded
	umount "$at/namespace"
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 198.51.100.7/24'* ]]
	mountpoint -q "$at/namespace"
	rm "$at/record.json"
	stage recipes/sites/dev.yaml
	[[ $output == 'gave 198.51.100.7/24'* ]]
	[ -s "$at/record.json" ]
	answers 198.51.100.7 8080
	: >"$at/record.json"
	host ip link add card0 type veth peer name cx0
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[[ $stderr == *'bring card0 back'* ]]
	host ip link del card0
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == 'brought card0 back'* ]]
	host ip link show card0
	[ ! -e "$at" ]
	# nobody remembers the instance
	card 7
	stage recipes/sites/dev.yaml
	succeeded
	ask "/containers/$(running)?force=1" -X DELETE
	rm "$dir/srv/123/dev/.posmedia/state.json"
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == *'brought card0 back'* ]]
	host ip link show card0
	# what could not be given back stays to be looked at, until the site goes
	card 7
	stage recipes/sites/dev.yaml
	succeeded
	jq '.lines += ["route add nonsense"]' "$at/record.json" >"$dir/record"
	cp "$dir/record" "$at/record.json"
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[[ $stderr == *"what it had is in $at.failed"* ]]
	[ -s "$at.failed" ]
	verb destroy --confirm 123 --dry-run recipes/sites/dev.yaml
	[[ $output == *"would: removed $at.failed"* ]]
	[ -s "$at.failed" ]
	verb destroy --confirm 123 recipes/sites/dev.yaml
	succeeded
	[ ! -e "$at.failed" ]
}

@test "dockerd: an address of its own, changed, refused, beside another's" {
	start_host docker
	has_address
	stays_so
	refusals
	neighbour
	changed_address
	kept_by_a_stranger
}

@test "dockerd: an interface of the host, and back" {
	start_host docker
	moved
	asked_late
	bad_records
}

@test "podman: an address of its own, and an interface of the host" {
	start_host podman
	has_address
	lost
	changed_address
	moved
}
