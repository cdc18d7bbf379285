# shellcheck shell=bash
# lib.bash - what run and its parts share: times, medians, the packages as a repository, buildah's
# own storage. Everything is made below $work.
export LC_ALL=C TZ=UTC
bench=$(realpath "${BASH_SOURCE[0]%/*}")
under=()
out=$(realpath "${OUT:-out}")
runs=${RUNS:-3}
posmedia=$out/posmedia
export POSMEDIA_STORE=${POSMEDIA_STORE:-$out/store}
work=$out/bench/work
log=$work/log

# Not in a condition, where bash would go on after a failure: what went wrong is the end of the log.
trap 'if [ $? != 0 ] && [ -f "$log" ]; then tail -n 20 "$log" >&2; fi' EXIT

die() {
	echo "bench: $*" >&2
	exit 1
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || die "$tool is not installed"
	done
	[ "$(id -u)" = 0 ] || die 'mmdebstrap and buildah are compared as root'
}

# Adds the seconds that a function takes to $work/NAME.times. What must go before it but does not
# count is before_NAME; then the disk is quiet.
measure() {
	local start end
	if declare -F "before_$1" >/dev/null; then
		"before_$1" >>"$log" 2>&1
	fi
	sync
	start=$EPOCHREALTIME
	"$1" >>"$log" 2>&1
	end=$EPOCHREALTIME
	awk -v a="$start" -v b="$end" 'BEGIN { printf "%.3f\n", b - a }' >>"$work/$1.times"
	echo "$1 $(tail -n 1 "$work/$1.times")" >&2
}

# What peak wrote for a name, for people: a program that is over at once was not seen.
memory() {
	awk '{ print ($1 < 1 ? "-" : $1 " MB") }' "$work/$1.peak"
}

# Runs a function's command as posmedia under tests/bench/peak; the MB go to $work/NAME.peak.
peak() {
	if declare -F "before_$1" >/dev/null; then
		"before_$1" >>"$log" 2>&1
	fi
	under=("$bench/peak" "$work/$1.peak")
	"$1" >>"$log" 2>&1
	under=()
	echo "$1 $(cat "$work/$1.peak") MB" >&2
}

middle() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

median() {
	middle <"$work/$1.times"
}

# Seconds for people.
seconds() {
	awk -v s="$1" 'BEGIN { if (s < 1) printf "%.0f ms", s * 1000; else printf "%.1f s", s }'
}

# The times of NAME, each the sum of those of the others in the same turn.
sum_up() {
	local name=$1 file=() other
	shift
	for other; do
		file+=("$work/$other.times")
	done
	paste -d ' ' "${file[@]}" | awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i; print s }' \
		>"$work/$name.times"
}

# The one of these with the smaller median.
faster() {
	local name
	for name; do
		echo "$(median "$name") $name"
	done | sort -n | head -n 1 | cut -d ' ' -f 2
}

# The lock's packages as a repository of files: the others need no network and no download either.
make_repository() {
	local name arch digest deb
	mkdir -p "$work/repository"
	jq -r '.packages[] | [.name, .arch, .sha256] | @tsv' "$lock" |
		while IFS=$'\t' read -r name arch digest; do
			deb=${name}_$arch.deb
			ln "$POSMEDIA_STORE/blobs/sha256/$digest" "$work/repository/$deb"
			dpkg-deb -f "$work/repository/$deb"
			printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" \
				"$(stat -c %s "$work/repository/$deb")" "$digest"
		done >"$work/repository/Packages"
	jq -r '[.packages[].name] | join(",")' "$lock" >"$work/names"
}

storage() {
	buildah --root "$work/storage" --runroot "$work/storage-run" "$@"
}

# TABLE NAME: puts the table between the README's markers of that name.
write() {
	perl -0pi -e 'BEGIN { open my $f, "<", shift; $n = shift; local $/; $t = <$f> }
		s/(<!-- \Q$n\E -->\n).*?(<!-- \/\Q$n\E -->)/$1$t$2/s' "$1" "$2" README.md
}
