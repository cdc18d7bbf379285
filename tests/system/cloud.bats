#!/usr/bin/env bats
# The data for hosts on AWS: what cloud-init says of the one, and the schemas that AWS publishes of
# the other; and what both have to promise. In tests/fixtures/hosts are the schema of cloud-init
# 22.4.2 and those of resource providers of us-east-1, without their descriptions.

bats_require_minimum_version 1.5.0
load lib

template=recipes/hosts/aws-host.yaml
words=recipes/hosts/aws-user-data.yaml

setup() {
	dir=$(mktemp -d)
}

teardown() {
	rm -rf "$dir"
}

check() {
	run --separate-stderr tests/lib/check-template tests/fixtures/hosts/aws-resources.json "$@"
}

# A copy of the template, changed by a command of sed, of which check must say this.
n=0
wrong() {
	n=$((n + 1))
	sed "$1" "$template" >"$dir/$n.yaml"
	! cmp -s "$template" "$dir/$n.yaml"
	printf '%s\n' "$2" >"$dir/$n.says"
}

of() {
	jq -e "$1" <<<"$template_json" >/dev/null
}

# A copy of the user data, changed by a command of sed, must be refused with this.
refuses_words() {
	sed "$1" "$words" >"$dir/words"
	! cmp -s "$words" "$dir/words"
	run tests/lib/check-cloud-config "$dir/words" tests/fixtures/hosts/cloud-config.json
	[ "$status" -eq 1 ]
	[[ $output == *"$2"* ]] || { echo "$1: $output"; false; }
}

@test "the user data is as cloud-init publishes it" {
	run tests/lib/check-cloud-config "$words" tests/fixtures/hosts/cloud-config.json
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	refuses_words 's/^package_update: true/package_update: [1]/' 'package_update: '
	refuses_words 's/^fs_setup:/fs_setupp:/' 'fs_setupp: no module'
	refuses_words 's/^  enabled: true/  enabled: maybe/' 'ntp/enabled: '
	refuses_words 's/^#cloud-config/# cloud-config/' 'the first line'
}

@test "every resource is as AWS publishes it, and every name is there" {
	check "$template"
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	wrong 's/HttpTokens: required/HttpTokens: required\n          Other: x/' \
		"'Other' was unexpected"
	wrong 's/SubnetId: .Ref: PosSubnet./Description2: x/' \
		"PosInterface: 'SubnetId' is a required"
	wrong 's/VolumeSize: 30/VolumeSize: much/' \
		"Template/LaunchTemplateData/BlockDeviceMappings"
	wrong 's/{Ref: PosGroup}/{Ref: PosGruop}/' 'no name "PosGruop"'
	wrong 's/\[Profile, Arn\]/[Profile, Name]/' 'has no attribute "Name"'
	wrong 's/- HasKey$/- HasKye/' 'no condition "HasKye"'
	# shellcheck disable=SC2016 # of the template
	wrong 's/s3:::${Bucket}/s3:::${Buckte}/' 'no name "Buckte"'
	wrong 's/^  HasKey:/  HasKeys: {Ref: Key}\n  HasKey:/' '"HasKeys" is of no use'
	wrong 's/AWS::EC2::EIPAssociation/AWS::EC2::EIPAsociation/' 'no schema of'
	check "$dir"/*.yaml
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	for ((; n > 0; n--)); do
		grep -F "$dir/$n.yaml: " <<<"$stderr" | grep -qF -f "$dir/$n.says" ||
			{ cat "$dir/$n.says"; echo "$stderr"; false; }
	done
}

@test "the side of the POS admits nothing, disks are encrypted, the role may pull" {
	check "$template"
	template_json=$output
	of '.Resources.PosGroup.Properties.SecurityGroupIngress == []'
	of '[.Resources[] | select(.Type == "AWS::EC2::SecurityGroup")
		| .Properties.SecurityGroupIngress[].CidrIp] == [{"Ref": "AdminNetwork"}]'
	of '[.Resources[] | select(.Type | test("Ingress|VPC"))] == []'
	# the two interfaces, each with its own group; only that of management may have an address
	of '[.Resources.Template.Properties.LaunchTemplateData.NetworkInterfaces[]
		| .NetworkInterfaceId.Ref] == ["ManagementInterface", "PosInterface"]'
	of '.Resources.PosInterface.Properties.GroupSet == [{"Ref": "PosGroup"}]'
	of '[.Resources[] | select(.Type == "AWS::EC2::EIPAssociation")
		| .Properties.NetworkInterfaceId.Ref] == ["ManagementInterface"]'
	of '[.. | objects | select(has("AssociatePublicIpAddress"))] == []'
	of '.Resources.Template.Properties.LaunchTemplateData.MetadataOptions
		== {HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: 1}'
	of '[.Resources.Template.Properties.LaunchTemplateData.BlockDeviceMappings[].Ebs.Encrypted]
		== [true, true]'
	of '[.. | .Statement? | arrays[] | .. | objects | select(.Effect?)
		| [.Action] | flatten[]] | sort == ["ecr:BatchCheckLayerAvailability",
		"ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
		"kms:Decrypt", "s3:GetObject", "s3:ListBucket", "sts:AssumeRole"]'
	of '[.. | objects | select(.Resource? == "*") | .Action] == ["ecr:GetAuthorizationToken"]'
}

@test "the template has the user data, and all that is filled in" {
	check "$template"
	jq -j '.Resources.Template.Properties.LaunchTemplateData.UserData
		| .["Fn::Base64"]["Fn::Sub"]' <<<"$output" | diff "$words" -
	run bash -c "grep -o '[$]{[^}]*}' $words | sort -u | xargs"
	# shellcheck disable=SC2016 # of the file
	[ "$output" = '${Bucket} ${DataDevice} ${ProjectDigest} ${Project}' ]
	[ "$(wc -c <"$words")" -lt 12000 ] # AWS takes 16 KiB of base64
}

@test "a project of another digest is not unpacked" {
	local script
	mkdir -p "$dir/cache" "$dir/etc" "$dir/p"
	echo program >"$dir/p/posmedia"
	tar --zstd -C "$dir/p" -cf "$dir/cache/project.tar.zst" posmedia
	# its last command, as cloud-init gives it to sh, without what needs the network or systemd
	script=$(/usr/bin/python3 -c '
import sys, yaml
print(yaml.safe_load(open(sys.argv[1]))["runcmd"][-1][2].split("&& systemctl")[0])' "$words" |
		sed "s,/var/cache/posmedia,$dir/cache,g; s,/etc/posmedia,$dir/etc,g
			s,/usr/bin/,$dir/,")
	echo "$(printf 0 | sha256sum | cut -c1-64)  $dir/cache/project.tar.zst" \
		>"$dir/cache/project.sha256"
	run sh -ec "$script"
	[ "$status" -ne 0 ]
	[ ! -e "$dir/etc/posmedia" ]
	sha256sum "$dir/cache/project.tar.zst" >"$dir/cache/project.sha256"
	run sh -ec "$script"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(cat "$dir/posmedia")" = program ]
	[ "$(stat -c %a "$dir/posmedia")" = 755 ]
}
