#!/usr/bin/env bats
# Kickstarts and Dockerfiles become recipes, and nothing of them is lost. GOLDEN=write takes what is
# said and written now as what is wanted.

bats_require_minimum_version 1.5.0
load lib

fixtures=tests/fixtures/import

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/recipes" "$dir/signing/keyrings"
	cp -r recipes/base recipes/profiles "$dir/recipes/"
	cp signing/keyrings/debian-12.gpg "$dir/signing/keyrings/"
}

teardown() {
	rm -rf "$dir"
}

import() {
	run --separate-stderr timeout 30 "$posmedia" import "$@"
}

# KIND FILE NAME [OPTION...]: the recipe and the report are those of golden/, the books balance.
golden() {
	local kind=$1 file=$2 name=$3 want
	shift 3
	import "$kind" "$file" --name "$name" --output "$dir/recipes" "$@"
	[ "$status" -eq 0 ] || { echo "$name: $stderr"; return 1; }
	sed -e '/^recipe: /d' <<<"$output" >"$dir/$name.txt"
	for want in "$name.txt" "recipes/$name.yaml"; do
		if [ "${GOLDEN-}" = write ]; then
			cp "$dir/$want" "$fixtures/golden/${want#*/}"
		fi
		diff -u "$fixtures/golden/${want#*/}" "$dir/$want"
	done
	balanced "$kind" "$file" "$@"
}

balanced() {
	local kind=$1 file=$2
	shift 2
	"$posmedia" import "$kind" "$file" --dry-run --json "$@" >"$dir/json"
	jq -e '.account | .balanced and .lines.lost == 0' "$dir/json" >/dev/null || {
		jq .account "$dir/json"
		return 1
	}
}

# The lines of a section of a kickstart: PATTERN FILE.
section() {
	awk -v p="^$1" '/^%end/ { s = 0 } s { print } $0 ~ p { s = 1 }' "$2"
}

# KIND FILE [OPTION...]: a finding tells of the password, and nothing has it.
quiet_about_url() {
	import "$@" --name x --output "$dir/recipes" --force
	[ "$status" -eq 0 ] || { cat "$2"; echo "$stderr"; return 1; }
	[[ $output =~ \ (plain-)?password: && $output != *cr=t* ]] || {
		cat "$2"
		echo "$output"
		return 1
	}
	! grep -r cr=t "$dir/recipes"
}

rules() {
	jq -r '.findings[].rule' "$dir/json"
}

@test "every kickstart: recipe and findings are the wanted ones" {
	for f in "$fixtures"/kickstart/*; do
		golden kickstart "$f" "$(basename "$f" .ks | tr '[:upper:]_' '[:lower:]-')"
	done
	golden kickstart "$fixtures/forms/every.ks" every
}

@test "every Dockerfile: recipe and findings are the wanted ones" {
	for f in "$fixtures"/dockerfile/*; do
		golden dockerfile "$f" "docker-$(basename "$f")"
	done
	golden dockerfile "$fixtures/forms/every.dockerfile" docker-every \
		--context "$fixtures/forms/context"
}

@test "kickstarts: packages, commands and script bytes are counted as others count them" {
	local commands=0 packages=0 f n
	for f in "$fixtures"/kickstart/*; do
		"$posmedia" import kickstart "$f" --dry-run --json >"$dir/json"
		n=$(awk '/^%(packages|post|pre|addon)/ { s = 1 } !s && /^[a-z%]/ { n++ }
			/^%end/ { s = 0 } END { print n }' "$f")
		jq -e --argjson n "$n" '.account.commands.in == $n' "$dir/json" >/dev/null
		commands=$((commands + n))
		n=$(section %packages "$f" | grep -c '^[^#]')
		jq -e --argjson n "$n" '.account.packages.in == $n' "$dir/json" >/dev/null
		packages=$((packages + n))
		n=$({ section %post "$f"; section %pre "$f"; } | wc -c)
		jq -e --argjson n "$n" '.account."script-bytes" | .in == $n and .out == $n' \
			"$dir/json" >/dev/null || { echo "$f $n"; jq .account "$dir/json"; false; }
	done
	[ "$commands" -eq 231 ]
	[ "$packages" -eq 617 ]
}

@test "kickstarts: a script is kept byte for byte, and its digest stands in the recipe" {
	for f in "$fixtures"/kickstart/*; do
		import kickstart "$f" --name x --force --output "$dir/recipes"
		section %post "$f" | cmp - "$dir/recipes/x.d/post-1.sh"
		grep -q "sha256: $(sha256sum <"$dir/recipes/x.d/post-1.sh" | cut -c1-64)" \
			"$dir/recipes/x.yaml"
		if grep -q '^%pre' "$f"; then
			section '%pre *$' "$f" | cmp - "$dir/recipes/x.d/pre-1.sh"
		fi
	done
}

@test "Dockerfiles: every instruction, port, package and unit is there" {
	local all=0 f n
	for f in "$fixtures"/dockerfile/*; do
		import dockerfile "$f" --name x --force --output "$dir/recipes" --json
		n=$(grep -c '^[A-Z]' "$f")
		all=$((all + n))
		jq -e --argjson n "$n" '.account.commands.in == $n' <<<"$output" >/dev/null
		while read -r n; do
			grep -q "^ports: .*\\b$n/tcp" "$dir/recipes/x.yaml"
		done < <(sed -n 's/^EXPOSE //p' "$f")
		while read -r n; do
			grep -qx "    - $n" "$dir/recipes/x.yaml"
		done < <(sed -n 's/^RUN yum -y install \([^&]*\).*/\1/p' "$f" | tr -s ' ' '\n')
		while read -r n; do
			grep -qx "    - $n" "$dir/recipes/x.yaml"
		done < <(grep -o 'systemctl enable [a-z.]*' "$f" | cut -d ' ' -f 3)
		run grep -E 'yum|systemctl' -r "$dir/recipes/x.d"
		[ -z "$output" ]
	done
	[ "$all" -eq 270 ]
}

@test "the recipe of every kickstart loads on the Debian base, once digests are written" {
	for f in "$fixtures"/kickstart/* "$fixtures/forms/every.ks"; do
		import kickstart "$f" --name x --force --output "$dir/recipes" \
			--base base/debian-12.yaml --json
		[ "$status" -eq 0 ]
		if grep -q ': WANTED$' "$dir/recipes/x.yaml"; then
			jq -e '.loads == false and (.wants | contains("sha256"))' <<<"$output"
		else
			jq -e '.loads' <<<"$output"
		fi
		sed -i "s/WANTED$/$(printf %064d 0)/" "$dir/recipes/x.yaml"
		in_project plan recipes/x.yaml
		[[ $stderr == *'x.lock'* ]] || { echo "$f: $stderr"; false; }
	done
}

@test "the recipe of every kickstart loads on its own repositories, once a key is there" {
	cp signing/keyrings/debian-12.gpg "$dir/signing/keyrings/el-9.asc"
	for f in "$fixtures"/kickstart/* "$fixtures/forms/every.ks"; do
		import kickstart "$f" --name x --force --output "$dir/recipes"
		sed -i "s/WANTED$/$(printf %064d 0)/" "$dir/recipes/x.yaml"
		in_project plan recipes/x.yaml
		if grep -q 'repos: \[\]' "$dir/recipes/x.yaml"; then
			[[ $stderr == *'"repos" wants'* ]]
		else
			[[ $stderr == *'x.lock'* ]] || { echo "$f: $stderr"; false; }
		fi
	done
}

@test "the recipe of every Dockerfile loads on the Debian base, once digests are written" {
	for f in "$fixtures"/dockerfile/* "$fixtures/forms/every.dockerfile"; do
		import dockerfile "$f" --name x --force --output "$dir/recipes" \
			--base base/debian-12.yaml --context "$fixtures/forms/context"
		[ "$status" -eq 0 ]
		sed -i -e "s/WANTED$/$(printf %064d 0)/" \
			-e "s|url: .*files.tar.gz|url: recipes/x.yaml|" "$dir/recipes/x.yaml"
		in_project plan recipes/x.yaml
		[[ $stderr == *'x.lock'* ]] || { echo "$f: $stderr"; false; }
	done
}

@test "no secret gets into the recipe or the report" {
	printf '%s\n' 'FROM scratch' 'ENV DB_PASSWORD=hunter2' >"$dir/secret"
	import dockerfile "$dir/secret" --output "$dir/recipes"
	grep -q plain-password <<<"$output"
	run ! grep -F hunter2 "$dir/recipes/secret.yaml" <<<"$output"
	import kickstart "$fixtures/forms/every.ks" --output "$dir/recipes"
	for word in hunter2 'open sesame' letmein ab01FAX verysecret vncpass diskpass chap \
		grubpass; do
		run ! grep -F "$word" "$fixtures/golden/every.txt" "$dir/recipes/every.yaml"
	done
	run ! grep -rF Rosebud "$fixtures/golden"
}

# shellcheck disable=SC2016 # a variable of the Dockerfile
@test "no password of a URL gets into the recipe or the report" {
	local rest
	mkdir "$dir/c"
	for rest in 'url --url=http://bob:S3@cr=t@mirror.example/9/os' \
		'repo --name=x --baseurl=http://bob:S3cr=t@mirror.example/9/x' \
		'url --mirrorlist=http://bob:S3cr=t@mirror.example/list' \
		'repo --name=y --baseurl="http://bob:S3cr=t@mirror.example/a b"' \
		'# was http://bob:S3cr=t@mirror.example/'; do
		echo "$rest" >"$dir/c/x.ks"
		for base in '' --base=base/debian-12.yaml; do
			quiet_about_url kickstart "$dir/c/x.ks" $base
		done
	done
	for rest in 'ADD https://bob:S3cr=t@host.example/x /x' \
		'ADD https://bob:S3cr=t@host.example /x' \
		'ADD "https://bob:S3cr=t@host.example/a b.tar" /x' \
		'COPY https://bob:S3cr=t@h/x /x' \
		'ENV PROXY=http://bob:S3cr=t@proxy.example:8080' \
		'ARG PROXY=http://bob:S3cr=t@proxy.example:8080\nRUN true $PROXY'; do
		printf 'FROM scratch\n%b\n' "$rest" >"$dir/c/Dockerfile"
		quiet_about_url dockerfile "$dir/c/Dockerfile"
	done
	# a script is kept as it is
	printf '%s\n' %post 'curl -O "https://bob:S3;cr=t@host.example/x"' %end >"$dir/c/x.ks"
	import kickstart "$dir/c/x.ks" --name x --output "$dir/recipes" --force
	[[ $output == *plain-password* && $output != *S3* ]]
	run ! grep S3 "$dir/recipes/x.yaml"
}

@test "line ends and a byte order mark change nothing but for a finding" {
	local f=$fixtures/kickstart/el7-orchid.ks
	import kickstart "$f" --name x --output "$dir/recipes"
	cp "$dir/recipes/x.yaml" "$dir/plain.yaml"
	cp -r "$dir/recipes/x.d" "$dir/plain.d"
	{ printf '\xef\xbb\xbf'; sed 's/$/\r/' "$f"; } >"$dir/x.ks"
	import kickstart "$dir/x.ks" --force --output "$dir/recipes"
	[[ $output == *line-ends*'byte order mark'* ]]
	diff <(grep -v '#' "$dir/plain.yaml") <(grep -v '#' "$dir/recipes/x.yaml")
	diff -r "$dir/plain.d" "$dir/recipes/x.d"
	balanced kickstart "$dir/x.ks"
	jq -e '.account."script-bytes" | .in == .out + .data and .data > 0' "$dir/json"
}

@test "names that no repository has" {
	printf '%s\n' '%packages' bash nonesuch '@core' 'perl*' glibc.i686 '%end' >"$dir/x.ks"
	printf '%s\n' 'bash 5.1' 'glibc 2.34' >"$dir/names"
	balanced kickstart "$dir/x.ks" --repository-names "$dir/names"
	[ "$(rules | grep -c no-such-package)" = 1 ]
	jq -e '.findings[] | select(.rule == "no-such-package") | .line == 3' "$dir/json"
	printf '{"packages": [{"name": "%s"}, {"name": "%s"}, {"name": "%s"}]}\n' bash nonesuch \
		glibc >"$dir/lock"
	balanced kickstart "$dir/x.ks" --repository-names "$dir/lock"
	run ! grep -q no-such-package "$dir/json"
	import kickstart "$dir/x.ks" --dry-run --repository-names "$dir/none"
	refused 1 --repository-names
}

@test "what is installed and excluded: by name, by pattern, by what it needs" {
	printf '%s\n' '%packages --nocore' kernel-tools bash firewalld -bash '-kernel*' \
		-firewalld-filesystem '-emacs*' '%end' >"$dir/x.ks"
	balanced kickstart "$dir/x.ks"
	jq -e '[.findings[] | select(.rule == "conflict") | .line] == [4, 5, 6]' "$dir/json"
	import kickstart "$dir/x.ks" --output "$dir/recipes"
	grep -q '# bash: also under install' "$dir/recipes/x.yaml"
	grep -q -- '- "kernel\*"' "$dir/recipes/x.yaml"
}

@test "what exists is not replaced, and --dry-run writes nothing" {
	local f=$fixtures/kickstart/el8-small.ks
	import kickstart "$f" --output "$dir/recipes" --dry-run
	[ "$status" -eq 0 ]
	[ ! -e "$dir/recipes/el8-small.yaml" ]
	import kickstart "$f" --output "$dir/recipes"
	[ "$status" -eq 0 ]
	echo mine >"$dir/recipes/el8-small.yaml"
	import kickstart "$f" --output "$dir/recipes"
	refused 7 'el8-small.yaml exists'
	refused 7 --force
	[ "$(cat "$dir/recipes/el8-small.yaml")" = mine ]
	touch "$dir/recipes/el8-small.d/left"
	import kickstart "$f" --output "$dir/recipes" --force
	[ "$status" -eq 0 ]
	[ ! -e "$dir/recipes/el8-small.d/left" ]
	[ -z "$(find "$dir/recipes" -name '.*' -mindepth 1)" ]
}

@test "--fail-on refuses by severity" {
	local f=$fixtures/kickstart/orchid_uefi.ks
	import kickstart "$f" --dry-run --fail-on never
	[ "$status" -eq 0 ]
	for s in info warning error; do
		import kickstart "$f" --dry-run --fail-on "$s"
		refused 4 "$s"
	done
	import kickstart "$f" --dry-run --fail-on some
	refused 2 --fail-on
	printf 'text\n%%packages --nocore\nbash\n%%end\n' >"$dir/x.ks"
	import kickstart "$dir/x.ks" --dry-run --fail-on error --base base/debian-12.yaml
	[ "$status" -eq 0 ]
}

@test "what is included: beside the kickstart, no circles, nothing from elsewhere" {
	echo '%include x.ks' >"$dir/x.ks"
	import kickstart "$dir/x.ks" --dry-run
	refused 3 'include themselves'
	for ((i = 0; i < 1000; i++)); do
		echo "%include $((i + 1)).ks" >"$dir/$i.ks"
	done
	import kickstart "$dir/0.ks" --dry-run
	refused 3 'deeper than 16'
	ln -s /etc/passwd "$dir/link.ks"
	printf '%%include %s\n' /etc/passwd ../x link.ks . '' >"$dir/y.ks"
	balanced kickstart "$dir/y.ks"
	[ "$(rules | grep -c unresolved-include)" = 5 ]
	run ! grep root: "$dir/json"
}

@test "COPY takes nothing from outside of the context" {
	mkdir -p "$dir/c/sub"
	ln -s /etc/passwd "$dir/c/link"
	ln -s ../../../../../../etc "$dir/c/sub/up"
	printf '%s\n' 'FROM scratch' 'COPY link /a' 'COPY sub/up/passwd /b' 'COPY sub /c' \
		'COPY /etc/passwd /d' 'COPY ../../etc/passwd /e' >"$dir/c/Dockerfile"
	import dockerfile "$dir/c/Dockerfile" --name x --output "$dir/recipes"
	[ "$status" -eq 0 ]
	[ "$(grep -c missing-source <<<"$output")" = 4 ]
	run ! grep -r root: "$dir/recipes/x.d"
	[ -L "$dir/recipes/x.d/overlay-1/c/up" ]
}

@test "COPY writes nothing through a link of the context, and no set-uid file" {
	mkdir -p "$dir/c/d1" "$dir/c/d2/a" "$dir/away"
	ln -s "$dir/away" "$dir/c/d1/a"
	echo planted >"$dir/c/d2/a/pw"
	printf 'FROM scratch\nCOPY d1 d2 /\n' >"$dir/c/Dockerfile"
	import dockerfile "$dir/c/Dockerfile" --name x --output "$dir/recipes"
	refused 1 'a link or file'
	[ -z "$(ls -A "$dir/away")" ]
	[ ! -e "$dir/recipes/x.d" ]
	[ ! -e "$dir/recipes/x.yaml" ]
	printf 'FROM scratch\nCOPY --chmod=4755 d2/a/pw /bin/\n' >"$dir/c/Dockerfile"
	import dockerfile "$dir/c/Dockerfile" --name x --output "$dir/recipes"
	[ "$status" -eq 0 ]
	[[ $output == *'error: bad-value: --chmod=4755: only 755 of it'* ]]
	[ "$(stat -c %a "$dir/recipes/x.d/overlay-1/bin/pw")" = 755 ]
}

@test "bad input is refused with its place, or is a finding" {
	head -c 3000000 /dev/zero | tr '\0' a >"$dir/long"
	head -c 100000 /dev/urandom >"$dir/binary"
	printf 'text\nrep\0o\n' >"$dir/zero"
	head -c 5000000 /dev/zero | tr '\0' '\n' >"$dir/large"
	for f in long binary zero large; do
		for kind in kickstart dockerfile; do
			import "$kind" "$dir/$f" --dry-run
			[ "$status" -eq 3 ] || { echo "$kind $f: $status $stderr"; false; }
		done
	done
	import kickstart "$dir/zero" --dry-run
	refused 3 'zero:2:1: a zero byte'
	import kickstart "$dir/none.ks" --dry-run
	refused 3 none.ks
	import kickstart "$dir" --dry-run
	[ "$status" -eq 3 ]
	import notes "$dir/x" --dry-run
	refused 2 'no such thing to import'
}

# shellcheck disable=SC2016 # it is text for a shell that never runs it
@test "hostile text: huge numbers, deep nesting, a bomb, sections cut short" {
	{
		echo 'user --name=a --uid=99999999999999999999999999'
		echo 'firewall --port=99999999999999999999:tcp,1-70000:tcp,-1:udp'
		echo '&a [*a, *a]'
		echo 'timezone "../../etc/passwd"'
		printf 'lang en_US\e[31m\n'
		printf '%%post\n'
		printf '$(%.0s' {1..20000}
		printf '\n(((`"\n'
	} >"$dir/x.ks"
	balanced kickstart "$dir/x.ks"
	import kickstart "$dir/x.ks" --output "$dir/recipes" --base base/debian-12.yaml
	[ "$status" -eq 0 ]
	[[ $output != *$'\e'* ]]
	tail -n 1 <<<"$output" | grep -v 'still wants'
	for ((i = 0; i < 1000; i++)); do
		printf '%%post\necho %d\n%%end\n' $i
	done >"$dir/y.ks"
	import kickstart "$dir/y.ks" --dry-run
	refused 3 'more than 500 scripts'
	yes 'RUN echo $((1 << 3)) <<' | head -n 2000 >"$dir/z"
	import dockerfile "$dir/z" --dry-run
	[[ $status =~ ^[03]$ ]]
}

# shellcheck disable=SC2016 # variables of the Dockerfile
@test "a Dockerfile loses nothing to a limit or an open here-document without a finding" {
	# variables that no script has room for
	{
		printf 'FROM scratch\nARG A=%060000d\nARG B=' 0
		printf '$A%.0s' {1..16}
		printf '\nARG C%d=$B' {1..40}
		printf '\nRUN echo kept\n'
	} >"$dir/vars"
	balanced dockerfile "$dir/vars"
	import dockerfile "$dir/vars" --name x --output "$dir/recipes"
	[[ $output == *'vars:3: error: not-understood: more than 64 KiB of variables: "B"'* ]]
	grep -x 'echo kept' "$dir/recipes/x.d/"*
	# a body without an end
	for what in 'RUN <<EOF' 'RUN cat >/x <<EOF' 'COPY <<EOF /x' 'FROM a\nRUN <<EOF'; do
		printf 'FROM scratch\n%b\ntext\nUSER 7\n' "$what" >"$dir/open"
		balanced dockerfile "$dir/open"
		import dockerfile "$dir/open" --dry-run
		[[ $output == *'error: heredoc-open: "EOF" is never closed'* ]]
		printf 'EOF\n' >>"$dir/open"
		import dockerfile "$dir/open" --dry-run
		[[ $output != *heredoc-open* ]]
	done
	# more files than are taken
	mkdir "$dir/c"
	(cd "$dir/c" && seq -f 'f%.0f' 10001 | xargs touch)
	printf 'FROM scratch\nCOPY f* /x/\n' >"$dir/c/Dockerfile"
	import dockerfile "$dir/c/Dockerfile" --dry-run
	[[ $output == *'Dockerfile:2: error: missing-source: "f*" is more than 10000 files'* ]]
	rm "$dir/c/f1"
	import dockerfile "$dir/c/Dockerfile" --dry-run
	[[ $output != *missing-source* ]]
}

@test "what a script removes was never there, wherever the sections stand" {
	printf '%s\n' %post 'rpm -e kernel chrony other' %end %packages '-kernel*' -chrony \
		%end >"$dir/x.ks"
	for base in '' --base=base/debian-12.yaml; do
		balanced kickstart "$dir/x.ks" $base
		[ "$(rules | grep -c remove-excluded)" = 2 ]
	done
}

# shellcheck disable=SC1003 # lines that end in a backslash
@test "large files take seconds, and what is not listed is counted" {
	{
		echo %packages
		seq -f 'pkg%.0f' 45000
		seq -f '-ex%.0f*' 45000
	} >"$dir/packages.ks"
	{
		echo %post
		seq -f 'wget http://media.example/%.0f' 90000
	} >"$dir/fetches.ks"
	{
		echo 'FROM scratch'
		seq -f 'RUN yum -y install p%.0f && echo a' 400
		echo 'RUN : \'
		seq -f '; yum -y install q%.0f \' 60000
	} >"$dir/runs"
	for f in packages.ks fetches.ks; do
		balanced kickstart "$dir/$f"
	done
	jq -e '.more and (.findings | length == 20000)' "$dir/json"
	balanced dockerfile "$dir/runs"
	jq -e '.account.packages.in == 60400' "$dir/json"
	import kickstart "$dir/fetches.ks" --dry-run
	[ "$status" -eq 0 ]
}

@test "FROM: an image that says its registry is the base, one that does not is to be pulled" {
	local from want hex
	hex=$(printf %064d 7)
	while read -r from want; do
		echo "FROM $from" >"$dir/from"
		import dockerfile "$dir/from" --name from --force --output "$dir/recipes"
		[ "$status" -eq 0 ]
		grep -qF "oci: {image: \"$want" "$dir/recipes/from.yaml" ||
			{ echo "$from"; cat "$dir/recipes/from.yaml"; false; }
		[[ $want == oci:* ]] && [[ $output == *pull-base* ]] || [[ $output != *pull-base* ]]
	done <<-EOT
		registry.example/el:9 docker://registry.example/el:9"
		localhost:5000/a/b:c docker://localhost:5000/a/b:c"
		registry.example/el:9@sha256:$hex docker://registry.example/el@sha256:$hex"
		registry.example/el oci:out/bases/el@sha256:WANTED"
		debian:12 oci:out/bases/debian@sha256:WANTED"
		library/debian@sha256:$hex oci:out/bases/debian@sha256:$hex"
	EOT
}

@test "every rule stands in the manual, and some file here breaks it" {
	mandoc -T utf8 builder/man/posmedia-import.7 | col -b >"$dir/manual"
	grep -ohE '^[^ ]+:[0-9]+: (info|warning|error): [a-z-]+' "$fixtures"/golden/*.txt |
		awk '{ print $3 }' | tr -d : | sort -u >"$dir/seen"
	printf '%s\n' line-ends no-such-package base-replaced from-scratch pull-base >>"$dir/seen"
	grep -oE '\{"[a-z-]+", IMPORT_' builder/import/rules.c | cut -d '"' -f 2 >"$dir/rules"
	[ "$(wc -l <"$dir/rules")" -gt 70 ]
	while read -r rule; do
		grep -qwF -e "$rule" "$dir/manual" || { echo "not in the manual: $rule"; false; }
		grep -qxF -e "$rule" "$dir/seen" || { echo "never seen: $rule"; false; }
	done <"$dir/rules"
}
