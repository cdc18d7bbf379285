#!/bin/bash
# The network of a shop: the engine's host has lan0 and card0, a branch of the shop has their other
# ends, and posmedia runs on the engine's host. Tests load this after lib, tiny, engines and stage.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

# Whether a process has a network of its own.
apart() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# Starts docker or podman ($1) below $dir/engine with those networks around it.
start_host() {
	start_service "$dir/engine" "$1"
	unshare --net sleep infinity 3>&- &
	branch_pid=$!
	wait_for 5 apart "$branch_pid"
	local card
	for card in lan card; do
		host ip link add "${card}0" type veth peer name "${card}1" netns "$branch_pid"
	done
	host ip link set lan0 up
	host tee /proc/sys/net/ipv4/ip_forward <<<1 >/dev/null
	host ip -batch - <<-'LINES'
		link set card0 up mtu 1400
		address add 198.51.100.5/24 brd + dev card0
		address add 2001:db8::5/64 dev card0 nodad
		route add 203.0.113.0/24 via 198.51.100.1 dev card0 metric 77
		route add 203.0.113.9/32 dev card0 table 200
		route add 2001:db8:1::/48 via 2001:db8::1 dev card0
		address add 192.0.2.5/24 dev lan0
		address add 2001:db8:2::5/64 dev lan0 nodad
		route add 203.0.113.128/25 metric 7 nexthop via 198.51.100.1 dev card0 weight 3 \
			nexthop via 192.0.2.1 dev lan0
		route add 2001:db8:3::/48 metric 7 nexthop via 2001:db8::1 dev card0 \
			nexthop via 2001:db8:2::1 dev lan0
	LINES
	host tee /proc/sys/net/ipv4/conf/card0/rp_filter /proc/sys/net/ipv6/conf/card0/accept_ra \
		/proc/sys/net/ipv4/conf/card0/arp_ignore <<<2 >/dev/null
	host tee /proc/sys/net/ipv4/neigh/card0/gc_stale_time <<<77 >/dev/null
	branch ip -batch - <<-'LINES'
		link set lo up
		link set lan1 up
		link set card1 up
		address add 192.0.2.1/24 dev lan1
		address add 198.51.100.1/24 dev card1
		address add 10.9.9.9/32 dev lo
		address add 169.254.169.254/32 dev lo
	LINES
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$engine_pid" \
		"${program-$OUT/posmedia}" >"$dir/posmedia"
	chmod 755 "$dir/posmedia"
	posmedia=$dir/posmedia
}

stop_host() {
	stop_service "$dir/engine"
	# posmedia holds networks there
	kill "$branch_pid" "${listener:-$branch_pid}" "${holder:-$branch_pid}" 2>/dev/null || true
	awk -v at="$dir/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		xargs -r umount -l
}

# Runs a program on the engine's host, in the branch, or with the network of what runs.
host() {
	nsenter --net="/proc/$engine_pid/ns/net" "$@"
}
branch() {
	nsenter --net="/proc/$branch_pid/ns/net" "$@"
}
instance() {
	nsenter --net="/proc/$(pid_of)/ns/net" "$@"
}

pid_of() {
	ask "/containers/$(running)/json" | jq .State.Pid
}

# Whether a port of an address answers in the branch.
answers() {
	branch curl -s -m "${3-2}" -o /dev/null "http://$1:$2/catalogue"
}

# What card0 has on the host, in one line each.
card0() {
	host ip -o -d link show card0 | grep -o 'mtu [0-9]*\|link/ether [^ ]*\|,UP'
	host ip -o address show card0 scope global | sed 's/^[0-9]*: //; s/valid_lft.*//'
	host ip route show table all dev card0 proto boot
	host ip -6 route show table all dev card0 proto boot
	host ip route show 203.0.113.128/25
	host ip -6 route show 2001:db8:3::/48 | sort
	host sh -c 'cd /proc/sys/net && grep -H . ipv4/conf/card0/rp_filter \
		ipv4/conf/card0/arp_ignore \
		ipv6/conf/card0/accept_ra ipv4/neigh/card0/gc_stale_time'
}
