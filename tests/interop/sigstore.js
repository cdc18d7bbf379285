// sigstore.js BUNDLE KEY.pub FROM TO [TSA.pem CA.pem [FILE]] - npm's verifier on one bundle, by a
// key that is valid from and to a day; with TSA.pem, a stamp by that authority is demanded.
const fs = require('fs');
const crypto = require('crypto');
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toTrustMaterial, toSignedEntity } = require('@sigstore/verify');

const [bundle, key, from, to, tsa, ca, file] = process.argv.slice(2);
const pem = (path) => crypto.createPublicKey(fs.readFileSync(path));
const spki = pem(key).export({ type: 'spki', format: 'der' });
const hint = crypto.createHash('sha256').update(spki).digest('base64');
const der = (path) => new crypto.X509Certificate(fs.readFileSync(path)).raw;
const always = { start: new Date('2000-01-01'), end: new Date('2200-01-01') };

const root = {
	mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
	tlogs: [], ctlogs: [], certificateAuthorities: [],
	timestampAuthorities: tsa ? [{
		subject: { organization: 'Test', commonName: 'tsa' }, uri: '',
		certChain: { certificates: [{ rawBytes: der(tsa) }, { rawBytes: der(ca) }] },
		validFor: always,
	}] : [],
};
const material = toTrustMaterial(root, {
	[hint]: {
		rawBytes: spki, keyDetails: 5,
		validFor: { start: new Date(from), end: new Date(to) },
	},
});
const verifier = new Verifier(material, {
	tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: tsa ? 1 : 0,
});
const parsed = bundleFromJSON(JSON.parse(fs.readFileSync(bundle)));
verifier.verify(toSignedEntity(parsed, file ? fs.readFileSync(file) : undefined));
console.log('verified');
