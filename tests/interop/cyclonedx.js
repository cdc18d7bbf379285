// cyclonedx.js FILE - the strict validator of the CycloneDX library on a document of version 1.6.
const fs = require('fs');
const { Spec, Validation } = require('@cyclonedx/cyclonedx-library');

new Validation.JsonStrictValidator(Spec.Version.v1dot6)
	.validate(fs.readFileSync(process.argv[2], 'utf8'))
	.then((fault) => {
		if (fault !== null) {
			console.log(JSON.stringify(fault).slice(0, 2000));
			process.exit(1);
		}
		console.log('valid');
	});
