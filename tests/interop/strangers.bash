#!/bin/bash
# strangers.bash - oscap and lynis on a root tree that is not booted, as far as they can: what they
# get wrong by themselves is prevented here. Everything is made below $work.
# shellcheck disable=SC2154 # who loads this sets work, posmedia, OUT

# The contents of ComplianceAsCode for Debian 12, which Debian 12 itself does not have: from a newer
# suite, unpacked, not installed. Sets ssg (the data stream) and ssg_version.
need_ssg() {
	local at=$OUT/tests/ssg content=usr/share/xml/scap/ssg/content
	[ -f "$at/$content/ssg-debian12-ds.xml" ] ||
		flock "$OUT/tests.flock" tests/system/fetch-tool sid ssg-debian "$at" \
			>"$OUT/tests-ssg.log" 2>&1 || {
		echo "no ssg-debian: $(tail -n 1 "$OUT/tests-ssg.log")"
		return 1
	}
	ssg=$at/$content/ssg-debian12-ds.xml
	# shellcheck disable=SC2034 # cross prints it
	ssg_version=$(perl -ne 'if (/<xccdf-1.2:version[^>]*>([\d.]+)</) { print $1; exit }' \
		"$at/$content/ssg-debian12-xccdf.xml")
	tailor "$at/$content/ssg-debian12-xccdf.xml" >"$work/pci.xml"
}

# There is no PCI DSS profile for Debian in it: here is one of every rule that refers to PCI DSS 4,
# with the values that the standard names, and the directory of failed logins that Debian has.
tailor() {
	perl -e '
		my ($rule, %seen);
		print qq{<?xml version="1.0" encoding="UTF-8"?>\n<Tailoring },
			qq{xmlns="http://checklists.nist.gov/xccdf/1.2" },
			qq{id="xccdf_posmedia_tailoring_pci">\n},
			qq{<version time="2022-03-31T00:00:00">4</version>\n},
			qq{<Profile id="xccdf_posmedia_profile_pci">\n<title>PCI DSS 4</title>\n};
		while (<>) {
			$rule = $1 if /<xccdf-1.2:Rule .*?id="(xccdf_[^"]+)"/;
			print qq{<select idref="$rule" selected="true"/>\n}
				if m{/PCI-DSS-v4_0.pdf">} && $rule && !$seen{$rule}++;
		}
		my $value = "xccdf_org.ssgproject.content_value_var_";
		my %set = (accounts_passwords_pam_faillock_deny => 10,
			accounts_passwords_pam_faillock_dir => "/var/run/faillock",
			accounts_passwords_pam_faillock_unlock_time => 1800,
			password_pam_minlen => 12,
			account_disable_post_pw_expiration => 90,
			accounts_tmout => 900, password_hashing_algorithm => "YESCRYPT",
			password_hashing_algorithm_pam => "yescrypt",
			accounts_maximum_age_login_defs => 90,
			# 15 minutes, as three times five
			sshd_set_keepalive => 3);
		print qq{<set-value idref="$value$_">$set{$_}</set-value>\n} for sort keys %set;
		print "</Profile>\n</Tailoring>\n"' "$1"
}

# Runs a command on a copy of the tree $1 that goes away, at $work/NAME/root in a mount namespace of
# its own: both write into what they look at. The firewall of its network namespace is the tree's.
on_copy() {
	local root=$1 name=$2
	shift 2
	mkdir -p "$work/$name"
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount --pid --uts --net --fork sh -ec '
		at=$0 lower=$1
		shift
		mount -t tmpfs none "$at"
		mkdir "$at/up" "$at/work" "$at/root"
		mount -t overlay none "$at/root" \
			-o "lowerdir=$lower,upperdir=$at/up,workdir=$at/work"
		cd "$at/root"
		[ ! -s etc/fstab ] || {
			awk "!/^#/ && NF > 3 { sub(/^LABEL=/, \"/dev/disk/by-label/\")
				print \$1, \$2, \$3, \$4, 0, 0 }" etc/fstab >proc/mounts
			mkdir -p dev/shm
		}
		[ ! -x usr/sbin/nft ] || chroot . /usr/sbin/nft -f /etc/nftables.conf
		exec "$@"' "$work/$name" "$root" "$@"
	local rc=$?
	rmdir "$work/$name"
	return $rc
}

# ROOT PROFILE OUTPUT: "RULE RESULT" lines, sorted. The profile is pci or one of the content.
# - the machine's own apt.conf breaks the probe of packages, without a word
# - content that is not for this system says "not applicable" to everything, and status 0
# - offline it reads the tree; inside a chroot it would read this machine's kernel
# - the mounts it takes from proc/mounts in the tree: what the machine's fstab makes
# - its scripts ask the kernel with programs of this machine: nft is the tree's
# - now and then it deadlocks
oscap_eval() {
	local root=$1 profile=$2 output=$3 rc=0 args
	args=(--profile "xccdf_org.ssgproject.content_profile_$profile")
	[ ! -f "$work/$profile.xml" ] ||
		args=(--tailoring-file "$work/$profile.xml"
			--profile "xccdf_posmedia_profile_$profile")
	echo 'Dir::Etc::parts "/nonexistent";' >"$work/apt.conf"
	# shellcheck disable=SC2016 # expanded inside
	on_copy "$root" "$(basename "$output").root" env "APT_CONFIG=$work/apt.conf" sh -ec '
		mount -t tmpfs none /usr/local/bin # where its scripts look too
		printf "#!/bin/sh\nexec chroot $PWD /usr/sbin/nft \"\$@\"\n" >/usr/local/bin/nft
		chmod 0755 /usr/local/bin/nft
		exec "$@"' sh timeout 300 oscap-chroot . xccdf eval "${args[@]}" \
		--results "$output.xml" "$ssg" >"$output.log" 2>&1 || rc=$?
	[ "$rc" = 0 ] || [ "$rc" = 2 ] || {
		echo "oscap: status $rc" && tail -n 5 "$output.log"
		return 1
	}
	perl -ne '$rule = $1 if /<rule-result idref="xccdf_org.ssgproject.content_rule_([^"]+)"/;
		print "$rule $1\n" if m{<result>(\w+)<} && $1 ne "notselected"' "$output.xml" |
		sort >"$output"
	rm "$output.xml"
	grep -q ' pass$' "$output" || {
		echo 'oscap: the content is not for this system'
		return 1
	}
}

# ROOT OUTPUT: lynis has no working --rootdir, so it is run inside a copy of the tree. Its index
# still depends on the kernel that it runs under.
lynis_run() {
	# shellcheck disable=SC2016,SC2094 # expanded inside
	on_copy "$1" "$(basename "$2").root" sh -ec '
		mkdir -p usr/share usr/sbin etc proc dev
		cp -a /usr/share/lynis usr/share/
		cp -a /etc/lynis etc/
		cp -a /usr/sbin/lynis usr/sbin/
		mount -t proc none proc
		mount -t tmpfs none dev
		for i in null zero full random urandom tty; do
			cp -a "/dev/$i" dev/
		done
		timeout 600 chroot . /usr/sbin/lynis audit system --quick --quiet --no-colors \
			--no-log --report-file /dev/report >/dev/null 2>&1 || true
		cat dev/report' >"$2" </dev/null
	grep -q '^hardening_index=' "$2" || {
		echo 'lynis: no index'
		return 1
	}
}

# A project in directory $1, all that is ours.
project() {
	mkdir -p "$1/tests"
	cp -r recipes overlays signing "$1/"
	cp -r tests/fixtures "$1/tests/"
}

# One whose profiles want nothing: the same packages, steps and files, as they
# come. Every id of the profile stays, for waivers.
unhardened() {
	local profile
	project "$1"
	for profile in "$1"/recipes/profiles/*.yaml; do
		perl -ni -e 'if (/^  - id: (\S+)/) {
				print "  - id: $1\n    title: Nothing\n    severity: low\n",
					"    sources: {posmedia: [nothing]}\n",
					"    want: [{packages: {absent: [nothing]}}]\n";
			} elsif (!/^ |^requirements:/) { print }' "$profile"
	done
}

# CIS level 2 and PCI DSS 4 in one profile, for oscap_eval.
tailor_both() {
	local base=xccdf_org.ssgproject.content_profile_cis_level2_server
	sed "s/\(id=\"xccdf_posmedia_profile_\)pci\"/\1both\" extends=\"$base\"/" "$work/pci.xml" \
		>"$work/both.xml"
}
