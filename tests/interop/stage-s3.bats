#!/usr/bin/env bats
# A site whose image is in a bucket: Debian's radosgw to a real dockerd.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load ../system/engines
load ../system/stage

setup() {
	dir=$(mktemp -d /var/tmp/posmedia-stage-s3.XXXXXX)
	make_image
	install -m 600 /dev/stdin "$dir/token" <<<'the token of shop 123'
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$("$BATS_TEST_DIRNAME/radosgw" "$dir/rgw" "$(free_port)")
	export AWS_ENDPOINT_URL
	curl -sf --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X PUT \
		-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$AWS_ENDPOINT_URL/images"
	start_service "$dir/engine" docker
}

teardown() {
	stop_service "$dir/engine" || true
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

@test "an image of a bucket is staged, and a second time no byte of it moves" {
	site dev
	sed -i 's,oci:out/till:1,s3://images/till:1,' "$dir/recipes/sites/dev.yaml"
	posmedia push oci:out/till:1 s3://images/till:1
	succeeded
	stage recipes/sites/dev.yaml
	refused 4 'it has no OpenPGP signature'
	posmedia sign oci:out/till:1 --key k
	succeeded
	posmedia push oci:out/till:1 s3://images/till:1
	succeeded
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/catalogue')" = roses ]
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == 'nothing changed'* ]]
}
