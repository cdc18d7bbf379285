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

# The template with conditions decided: those that are named ("HasStores HasKey") hold.
decided() {
	template_json=$(jq --arg held "$1" '($held | split(" ")) as $held
		| walk(if type == "object" and has("Fn::If") then .["Fn::If"]
			| if .[0] | IN($held[]) then .[1] else .[2] end else . end)
		| walk(if type == "array" then map(select(. != {"Ref": "AWS::NoValue"})) else . end)
		| .Resources |= with_entries(select(.value.Condition as $c
			| $c == null or ($c | IN($held[]))))' <<<"$output")
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
	refuses_words 's/^runcmd:/runcmdd:/' 'runcmdd: no module'
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
	wrong 's/- DataDevice:/- DataDevise:/' 'no name "DataDevice"'
	wrong 's/^      Size: {Ref: DataSize}/      Sise: {Ref: DataSize}/' "'Sise' was unexpected"
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
	decided 'HasNoVolume HasKey HasRepository IsPublic'
	of '.Resources.PosGroup.Properties.SecurityGroupIngress == []'
	of '[.Resources[] | select(.Type == "AWS::EC2::SecurityGroup")
		| .Properties.SecurityGroupIngress[].CidrIp] == [{"Ref": "AdminNetwork"}]'
	of '[.Resources[] | select(.Type | test("Ingress|Route|VPC"))] == []'
	of '.Resources.ManagementInterface.Properties.SourceDestCheck'
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
		== [true]'
	of '[.Resources[] | select(.Type == "AWS::EC2::Volume") | .Properties.Encrypted] == [true]'
	of '[.. | .Statement? | arrays[] | .. | objects | select(.Effect?)
		| [.Action] | flatten[]] | sort == ["ecr:BatchCheckLayerAvailability",
		"ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
		"kms:Decrypt", "s3:GetObject", "s3:ListBucket", "sts:AssumeRole"]'
	of '[.. | objects | select(.Resource? == "*") | .Action] == ["ecr:GetAuthorizationToken"]'
}

@test "the data stays whatever becomes of the stack, and the host is not replaced" {
	check "$template"
	decided 'HasNoVolume'
	of '.Resources.Data | .DeletionPolicy == "Retain" and .UpdateReplacePolicy == "Retain"'
	of '[.Resources[] | select(.Type == "AWS::EC2::VolumeAttachment") | .Properties
		| [.VolumeId.Ref, .InstanceId.Ref]] == [["Data", "Host"]]'
	# no volume of the machine's own but the root's, and nothing that makes another machine
	of '[.Resources.Template.Properties.LaunchTemplateData.BlockDeviceMappings[].DeviceName]
		== ["/dev/xvda"]'
	of '.Resources.Template.Properties.LaunchTemplateData.DisableApiTermination'
	of '.Resources.Host.Properties.LaunchTemplate.Version == "1"'
	# one that is there already is attached, and none is made; it has its number for a name
	decided ''
	of '.Resources.Data == null'
	of '.Resources.DataOfHost.Properties.VolumeId.Ref == "DataVolume"'
	of '.Resources.Template.Properties.LaunchTemplateData.UserData["Fn::Base64"]["Fn::Sub"][1]
		| .DataDevice["Fn::Join"][1] == ["/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_",
		{"Fn::Join": ["", {"Fn::Split": ["-", {"Ref": "DataVolume"}]}]}]'
}

@test "tunnels carry a store's traffic where stores are named, and only then" {
	check "$template"
	decided 'HasStores HasRouters'
	of '.Resources.ManagementInterface.Properties.SourceDestCheck == false'
	of '.Resources.StoreRoute.Properties == {RouteTableId: {Ref: "PosRouteTable"},
		DestinationCidrBlock: {Ref: "StoreNetwork"},
		NetworkInterfaceId: {Ref: "ManagementInterface"}}'
	of '[.Resources.PosGroup.Properties.SecurityGroupIngress[].CidrIp.Ref] == ["StoreNetwork"]'
	of '.Resources.PosGroup.Properties.SecurityGroupEgress[1].CidrIp == {Ref: "StoreNetwork"}'
	# shellcheck disable=SC2016 # of the template
	of '[.Resources.ManagementGroup.Properties.SecurityGroupIngress[1:][]
		| [.IpProtocol, .FromPort, .CidrIp[]]] == [["udp", 500, "StoreRouters"],
		["udp", 4500, "StoreRouters"], ["-1", null, "${PosAddress}/32"]]'
	# shellcheck disable=SC2016 # of the template
	of '.Resources.ManagementGroup.Properties.SecurityGroupEgress[-1]
		| [.IpProtocol, .CidrIp[]] == ["-1", "${PosAddress}/32"]'
}

@test "a volume gets a file system when nobody has written to it, and else never" {
	local script
	mkdir -p "$dir/bin"
	: >"$dir/fstab"
	# shellcheck disable=SC2016 # of the script
	printf '#!/bin/sh\necho "${0##*/} $*" >>"%s"\n' "$dir/ran" >"$dir/bin/udevadm"
	chmod 755 "$dir/bin/udevadm"
	cp "$dir/bin/udevadm" "$dir/bin/systemctl"
	script=$(/usr/bin/python3 -c '
import sys, yaml
print(yaml.safe_load(open(sys.argv[1]))["runcmd"][0][2])' "$words" |
		sed "s,/etc/fstab,$dir/fstab,g; s,mkdir -p /srv/pos,mkdir -p $dir/pos,
			s,[$]{DataDevice},$dir/disk,g")
	truncate -s 16M "$dir/disk"
	PATH=$dir/bin:$PATH run sh -ec "$script"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(blkid -p -s TYPE -o value "$dir/disk")" = ext4 ]
	grep -q "^$dir/disk /srv/pos ext4 .*nofail" "$dir/fstab"
	[ "$(tail -n 1 "$dir/ran")" = 'systemctl start srv-pos.mount' ]
	# once more, and on a disk with something that is no file system of ours
	local first
	for first in ext4 LUKS; do
		[ "$first" = ext4 ] || {
			truncate -s 0 "$dir/disk"
			truncate -s 16M "$dir/disk"
			printf 'LUKS\xba\xbe' | dd of="$dir/disk" conv=notrunc status=none
		}
		sha256sum "$dir/disk" >"$dir/before"
		PATH=$dir/bin:$PATH run sh -ec "$script"
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		sha256sum -c --quiet "$dir/before"
	done
	[ "$(wc -l <"$dir/fstab")" -eq 1 ]
}

@test "the template has the user data, and all that is filled in" {
	check "$template"
	jq -j '.Resources.Template.Properties.LaunchTemplateData.UserData
		| .["Fn::Base64"]["Fn::Sub"][0]' <<<"$output" | diff "$words" -
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
