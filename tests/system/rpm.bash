#!/bin/bash
# The repositories of tests/lib/rpm-repo, made once; other tests load this after lib.
# shellcheck disable=SC2154 # lib.bash sets OUT

# Copies them to $1/rpm.
rpm_repo() {
	local made
	made=$OUT/rpm-repo.$(sha256sum tests/lib/rpm-repo | cut -c1-16)
	(
		flock 9
		[ -d "$made" ] || {
			rm -rf "$OUT"/rpm-repo.*[0-9a-f] "$OUT"/rpm-repo.*.new
			tests/lib/rpm-repo "$made.new" && mv "$made.new" "$made"
		}
	) 9>"$OUT/rpm-repo.flock" || return 1
	cp -r "$made" "$1/rpm"
}
