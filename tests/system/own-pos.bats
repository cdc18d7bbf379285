#!/usr/bin/env bats
# posmedia-pos(7): what the page says is written to files and run as it stands.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/own-pos.XXXXXX")
}

teardown() {
	rm -rf "$dir"
}

# Writes the page's files below $1, and its commands to $1/commands.
extract() {
	perl -e '
		my ($page, $to) = @ARGV;
		my ($path, $mode);
		open my $in, "<", $page or die "$page: $!\n";
		open my $sh, ">", "$to/commands" or die;
		my $out;
		while (<$in>) {
			$path = $1 if m{^\.\\" file (\S+)$};
			$path = "" if m{^\.\\" commands$};
			if (/^\.Bd -literal/ && defined $path) {
				if ($path eq "") { $out = $sh; next; }
				my ($d) = "$to/$path" =~ m{(.*)/};
				system("mkdir", "-p", $d) == 0 or die;
				open $out, ">", "$to/$path" or die "$path: $!\n";
			} elsif (/^\.Ed/) {
				undef $path;
				undef $out;
			} elsif ($out) {
				s/\\e/\\/g;
				s/^\\&//;
				print $out $_;
			}
		}' "$1" "$2"
}

@test "the page's application is built from its text, and passes the audit" {
	cp -r recipes overlays signing "$dir/"
	extract builder/man/posmedia-pos.7 "$dir"
	mkdir "$dir/bin"
	ln -s "$posmedia" "$dir/bin/posmedia"
	run env -C "$dir" PATH="$dir/bin:$PATH" bash -eux commands
	[ "$status" -eq 0 ] || { echo "$output" && return 1; }
	[[ $output == *' pass, 0 fail'* ]]
	umoci raw unpack --image "$dir/out/lily:1.0.0" "$dir/tree" >"$dir/umoci.log" 2>&1
	local root=$dir/tree
	[ "$(cat "$root/srv/lily/serial")" = LILY-0001 ]
	[ "$(stat -c '%a %u:%g' "$root/srv/lily/data")" = '750 1520:1520' ]
	[ -L "$root/etc/systemd/system/multi-user.target.wants/lily.service" ]
	grep -q 'tcp dport 2100 accept' "$root/etc/nftables.conf"
	[ ! -e "$root/media/lily/install.sh" ]
}

@test "the recipe that one's own begins from is built from its lock, and passes the audit" {
	cp -r recipes overlays signing "$dir/"
	cp "$dir/recipes/minimal.lock" "$dir/lock"
	run --separate-stderr env -C "$dir" "$posmedia" build recipes/minimal.yaml
	[ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
	[[ $output =~ minimal:0.1.0@sha256:[0-9a-f]{64}$ ]]
	cmp "$dir/recipes/minimal.lock" "$dir/lock"
	run env -C "$dir" "$posmedia" audit oci:out/minimal:0.1.0 \
		--recipe recipes/minimal.yaml
	[ "$status" -eq 0 ] && [[ $output == *' pass, 0 fail'* ]]
	umoci raw unpack --image "$dir/out/minimal:0.1.0" "$dir/tree" >"$dir/umoci.log" 2>&1
	local root=$dir/tree
	[ -x "$root/sbin/init" ] && [ -x "$root/usr/sbin/sshd" ]
	[ "$(readlink "$root/etc/systemd/system/getty.target")" = /dev/null ]
	grep -q '^ID=debian$' "$root/etc/os-release"
}
