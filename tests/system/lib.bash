#!/bin/bash
# What the system tests share.

# Waits until a command succeeds, or fails the test after 20 seconds (or $2).
wait_for() {
	local i
	for ((i = 0; i < ${2-20} * 20; i++)); do
		eval "$1" && return 0
		sleep 0.05
	done
	echo "waited in vain for: $1"
	return 1
}
