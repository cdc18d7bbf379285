#!/bin/bash
# A project in an image of a few megabytes whose steps have media. Tests load this after lib.
# shellcheck disable=SC2154 # lib.bash and bats set the others

# The base of the project's recipes, on its own archive.
tiny_base() {
	cat >"$dir/recipes/base/tiny.yaml" <<-YAML
		posmedia: 1
		version: 1
		base:
		  apt:
		    {suite: bookworm, keyring: repo/key.gpg, mirrors: ["file://$dir/repo/mirror"]}
		packages: {install: [tiny-app]}
	YAML
}

# Makes the project, with a vendor's disc as a tree; sets dir, which is exported.
media_project() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/media.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	tests/lib/apt-repo "$dir/repo" bookworm '' perl find stat sha256sum cp grep rmdir gzip \
		mknod >"$dir/repo.log" 2>&1
	mkdir -p "$dir/recipes/base" "$dir/media"
	mkdir -p "$dir/disc/Images/deep/er/still/more/and/on/to/ten"
	tiny_base
	# what is on the disc: as seen in the sandbox it must be just this
	echo "read me" >"$dir/disc/README.TXT"
	printf '#!/bin/sh\necho installed >/opt/done\n' >"$dir/disc/setup.sh"
	chmod 755 "$dir/disc/setup.sh"
	echo far >"$dir/disc/Images/deep/er/still/more/and/on/to/ten/File with blanks.dat"
	head -c 300000 /dev/zero | tr '\0' x >"$dir/disc/Images/big.dat"
	ln -s Images/big.dat "$dir/disc/link"
	find "$dir/disc" -exec touch -h -d 2020-02-02 '{}' +
}

media_setup() {
	name=t$BATS_TEST_NUMBER
	export POSMEDIA_STORE=$dir/store
}

# A recipe $name with the medium $1, its keys $2 and a step that is the shell text $3 and has more
# keys; and its lock.
step() {
	local key sum
	sum=$(sha256sum "$dir/media/$1" | cut -d' ' -f1)
	{
		printf 'posmedia: 1\nname: %s\nextends: [base/tiny.yaml]\n' "$name"
		printf 'media:\n  it: {url: media/%s, sha256: %s%s}\n' "$1" "$sum" "${2:+, $2}"
		printf 'steps:\n  - name: work\n    mount: {it: /media/it}\n    writes: [/opt]\n'
		printf '    run: [sh, -c, %s]\n' "$(jq -n --arg t "$3" '$t')"
		for key in "${@:4}"; do
			printf '    %s\n' "$key"
		done
	} >"$dir/recipes/$name.yaml"
	lock
}

lock() {
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	ok
}

build() {
	run --separate-stderr env -C "$dir" "$posmedia" build "recipes/$name.yaml" "$@"
}

# The verb $1 for the same recipe as nobody, in a copy of the project.
as_user() {
	chmod 755 "$dir"
	[ -e "$dir/user" ] || mkdir "$dir/user"
	cp -r "$dir/recipes" "$dir/repo" "$dir/media" "$dir/user"
	sed -i "s|$dir/repo|$dir/user/repo|" "$dir/user/recipes/base/tiny.yaml"
	[ "$1" != build ] || cp "$dir/user.lock" "$dir/user/recipes/$name.lock"
	chown -R nobody "$dir/user/recipes" "$dir/user/media"
	[ "$1" = build ] || chown nobody "$dir/user"
	POSMEDIA_STORE=$dir/user/store run --separate-stderr env -C "$dir/user" unshare -m \
		"$PWD/tests/system/as-nobody" "$dir/user.subids" "$posmedia" "$1" \
		"recipes/$name.yaml"
	ok
	[ "$1" = build ] || cp "$dir/user/recipes/$name.lock" "$dir/user.lock"
}

ok() {
	[ "$status" -eq 0 ] || { echo "status $status: $stderr" && false; }
}

# The build failed with the status, and said each of the texts; nothing of it is left.
refused() {
	local text
	echo "status $status, wanted $1: $stderr"
	[ "$status" -eq "$1" ] || return 1
	for text in "${@:2}"; do
		[[ $stderr == *"$text"* ]] || { echo "lacks: $text" && return 1; }
	done
	nothing_left
}

# No scratch, no mount, and no process of a test file whose steps leave some: it sets sleep_mark,
# since others run at the same time.
nothing_left() {
	if grep -F "$dir" /proc/self/mounts ||
		{ [ -n "${sleep_mark-}" ] && pgrep -f "sleep $sleep_mark"; }; then
		return 1
	fi
	[ -z "$(ls "$POSMEDIA_STORE/tmp")" ]
}

# The image $1, or the last one, as $dir/tree.
unpacked() {
	local layer name=${1-$name}
	rm -rf "$dir/tree"
	mkdir "$dir/tree"
	for layer in $(jq -r '.manifests[0].digest | sub("sha256:"; "")' \
		"$dir/out/$name/index.json" |
		xargs -I{} jq -r '.layers[].digest | sub("sha256:"; "")' \
			"$dir/out/$name/blobs/sha256/{}"); do
		tar -xzf "$dir/out/$name/blobs/sha256/$layer" -C "$dir/tree"
	done
}

log_of() {
	cat "$dir/out/$name.logs/1/step-${1-work}.log"
}

# What the step said, and what the one named second did.
saw() {
	[ "$(log_of)" = "$1" ] || { diff <(echo "$1") <(log_of) && return 1; }
}

saw_second() {
	[ "$(log_of second)" = "$1" ] || { diff <(echo "$1") <(log_of second) && return 1; }
}

disc() { # FILE TREE ARGUMENT...
	LC_ALL=C.UTF-8 xorriso -as mkisofs -quiet -o "$dir/media/$1" "${@:3}" "$2" 2>/dev/null
}

iso() { # FILE ARGUMENT...
	disc "$1" "$dir/disc" "${@:2}"
}

# A disc of UDF alone, $1, of the tree: what makes it ISO 9660 as well is taken out of the volume
# recognition sequence, so that nothing but UDF is left to read it by.
udf() {
	genisoimage -quiet -udf -D -o "$dir/media/$1" "${2-$dir/disc}" 2>/dev/null
	perl -e '
		open my $f, "+<", $ARGV[0] or die; binmode $f; my @udf;
		for my $i (16 .. 31) {
			seek $f, $i * 2048, 0; read $f, my $s, 2048;
			push @udf, $s if substr($s, 1, 5) =~ /^(BEA01|NSR0.|TEA01)/;
		}
		die if @udf != 3;
		seek $f, 16 * 2048, 0;
		print $f @udf, "\0" x (13 * 2048)' "$dir/media/$1"
}
