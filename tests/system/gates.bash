#!/bin/bash
# Breakages of an unpacked image that only its own programs notice. Tests load this after lib, and
# set root (the tree) and tree_dir (a directory of theirs).
# shellcheck disable=SC2016,SC2154 # expanded by jq; lib.bash and the tests set the others

# Runs the audit with its gates on the tree; sets failed to the ids that fail, joined by blanks: of
# the ids in only, when that is set, and by the profile in profile instead of the recipe's.
gates() {
	local failing='.results[] | select(.status == "fail") | .id as $id |
		select($only == "" or ($only | split(" ") | index($id)))'
	"$posmedia" audit "dir:$root" --recipe recipes/demo.yaml \
		${profile:+--profile "$profile"} --gates --json --fail-on never \
		>"$tree_dir/gates.json"
	failed=$(jq -r --arg only "${only-}" "[$failing | .id] | join(\" \")" \
		"$tree_dir/gates.json")
	said=$(jq -r --arg only "${only-}" "$failing | .detail" "$tree_dir/gates.json")
}

# With a file of that mode and text in the tree, exactly that control fails, and says that.
breaks() {
	local id=$1 file=$root/$2 mode=$3 text=$4 says=$5
	printf '%s\n' "$text" >"$file"
	chmod "$mode" "$file"
	gates
	rm "$file"
	[ "$failed" = "$id" ] || { echo "$failed: $said"; return 1; }
	[[ $said == *$says* ]] || { echo "$said"; return 1; }
}

# The same with a file gone, which another control may miss as well.
lacks() {
	local id=${4:+$4 }$1 file=$root/$2 says=$3
	mv "$file" "$tree_dir/gone"
	gates
	mv "$tree_dir/gone" "$file"
	[ "$failed" = "$id" ] || { echo "$failed: $said"; return 1; }
	[[ $said == *$says* ]] || { echo "$said"; return 1; }
}
