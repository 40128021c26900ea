// The floors of the house: arrows go down only. Types count as imports. Each rule says what to do instead.
export const FLOORS = [
  ['main', '^src/(main|[a-z]+-commands?)\\.ts$'],
  ['server', '^src/(server|open-parts|open-issuers|software-version)\\.ts$'],
  ['http', '^src/(http|adapters)/'],
  ['gate', '^src/(gate|operations)/'],
  ['interactions', '^src/(interactions|mirror)/'],
  ['resources', '^src/(resources|records|log)/'],
  ['search', '^src/search/'],
  ['rules', '^src/(access|audit|content|validation)/'],
  ['database', '^src/(database|embedded)/|^migrations/'],
  ['ground', '^src/(fhir|config)/|^src/(logger|metrics)\\.ts$'],
];

const upward = FLOORS.slice(1).map(([name, path], index) => ({
  name: `no-arrow-up-from-${name}`,
  comment: `${name} may use its own floor and those below it. What it needs from above comes as an argument, a function or a value.`,
  severity: 'error',
  from: { path },
  to: { path: FLOORS.slice(0, index + 1).map(([, above]) => above).join('|') },
}));

// Rooms that share a floor and have nothing to tell each other.
const NEIGHBOURS = [
  ['access', 'audit', 'content', 'validation'],
  ['interactions', 'mirror'],
  ['resources', 'records', 'log'],
  ['fhir', 'config'],
  ['database', 'embedded'],
];

const apart = NEIGHBOURS.flatMap((rooms) => rooms.map((room) => ({
  name: `${room}-keeps-to-itself`,
  comment: `${room}/ stands beside ${rooms.filter((other) => other !== room).join(', ')} and knows none of them. Join them one floor up.`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${rooms.filter((other) => other !== room).join('|')})/` },
})));

// What comes from outside has one owner each: [name, packages, who may know them, what everybody else does].
const OWNERS = [
  ['express-stays-in-http', 'express', '^src/(http|adapters)/', 'Express is known in http/ and adapters/ alone. Take a FhirRequest, or name the few fields that are read.'],
  ['object-stores-stay-in-their-folder', 'minio|@aws-sdk/[^/]+|@azure/[^/]+|@google-cloud/[^/]+|google-auth-library', '^src/content/stores/', 'Object stores are known in content/stores/ alone. Use ContentStore.'],
  ['hapi-stays-in-the-mirror', 'fhir-kit-client', '^src/mirror/hapi-client\\.ts$', 'The way to HAPI is opened in hapi-client.ts alone. Take a HapiClient.'],
  ['knex-stays-with-the-tables', 'knex', '^src/(database|resources|search|records)/|^migrations/', 'knex belongs to the rooms that own tables. Call a function of theirs.'],
  ['postgres-stays-with-the-database', 'pg', '^src/(database|embedded)/', 'The driver is known in database/ and to the supervisor in embedded/. Take a Database or a Transaction.'],
  ['tokens-stay-in-access', 'jose|passport', '^src/access/', 'Tokens are read in access/ alone. Take a Principal.'],
  ['the-authorization-server-stays-embedded', 'oidc-provider|koa', '^src/embedded/authorization-', 'The development authorization server is known in embedded/ alone. Take its answer function.'],
  ['figures-stay-in-metrics', 'prom-client', '^src/(metrics|http/listen)\\.ts$', 'Figures are declared in metrics.ts. Take Metrics.'],
  ['images-stay-in-content', 'sharp', '^src/content/', 'Images are read in content/ alone.'],
];

const owned = OWNERS.map(([name, packages, owner, comment]) => ({
  name, comment, severity: 'error',
  from: { path: '^(src|migrations)/', pathNot: owner },
  to: { path: `(^|/)node_modules/(@types/)?(${packages})/` },
}));

// Shapes that several interactions share; they are no interactions.
const SHARED = '^src/interactions/(interaction|bundle-entry|transaction-links|batch|transaction|representation|read-body|prepare-document|write-outcome|conditional-match|conditional-read|byte-conditions|digest-headers|base64-resource|outside-resources|read-search-form|plan-search|run-search|search-matches|page-links|preconditions|read-patch|write-document|confined-write|history-bundle|content-rules|receive-binary)\\.ts$';

export default {
  forbidden: [
    ...upward,
    ...apart,
    ...owned,
    {
      name: 'no-circles', comment: 'Two files that need each other are one file, or need a third below both.',
      severity: 'error', from: {}, to: { circular: true },
    },
    {
      name: 'no-interaction-imports-another', comment: 'Put what two interactions share on the floor below, or into one of the shared shapes.',
      severity: 'error', from: { path: '^src/interactions/', pathNot: SHARED }, to: { path: '^src/interactions/', pathNot: SHARED },
    },
    {
      name: 'shared-shapes-know-no-interaction', comment: 'A shape that interactions share must not know one of them. Take what it needs as an argument.',
      severity: 'error', from: { path: SHARED }, to: { path: '^src/interactions/', pathNot: SHARED },
    },
    {
      name: 'gate-knows-the-shape-alone', comment: 'The gate runs whatever it is handed: it may know interaction.ts and no interaction.',
      severity: 'error', from: { path: '^src/gate/' }, to: { path: '^src/interactions/', pathNot: '^src/interactions/interaction\\.ts$' },
    },
    {
      name: 'the-language-knows-nobody', comment: 'fhir/ is R4 as a language: it imports nothing of ours. Hand it values.',
      severity: 'error', from: { path: '^src/fhir/' }, to: { path: '^(src|migrations)/', pathNot: '^src/fhir/' },
    },
    {
      name: 'the-pure-do-no-io', comment: 'fhir/, audit/, authorize.ts and parse-search.ts are pure: time, ids and bytes are arguments. Do the work one floor up.',
      severity: 'error', from: { path: '^src/(fhir|audit)/|^src/access/authorize\\.ts$|^src/search/parse-search\\.ts$' }, to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'the-pure-reach-no-database', comment: 'What decides and parses takes rows as values. Read them one floor up.',
      severity: 'error', from: { path: '^src/audit/|^src/access/authorize\\.ts$|^src/search/parse-search\\.ts$' }, to: { path: '^src/(database|content|embedded|config)/|^src/(logger|metrics)\\.ts$' },
    },
    {
      name: 'migrations-stand-alone', comment: 'A migration is history: it may know row-level-security.ts and nothing that will change after it.',
      severity: 'error', from: { path: '^migrations/' }, to: { path: '^src/', pathNot: '^src/database/row-level-security\\.ts$' },
    },
    {
      name: 'only-the-migrator-runs-migrations', comment: 'Migrations are listed and run in migrate.ts.',
      severity: 'error', from: { path: '^src/', pathNot: '^src/database/migrate\\.ts$' }, to: { path: '^migrations/' },
    },
    {
      name: 'the-product-stands-without-its-tools', comment: 'src is what is shipped: it imports nothing of test, scripts or bench, and no package that is there for development alone.',
      severity: 'error', from: { path: '^(src|migrations)/' }, to: { path: '^(test|scripts|bench)/' },
    },
    {
      name: 'no-development-package-in-the-product', comment: 'Move the package to dependencies, or do without it.',
      severity: 'error', from: { path: '^(src|migrations)/' }, to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nothing-unknown', comment: 'The path or package does not exist, or is not in package.json.',
      severity: 'error', from: {}, to: { couldNotResolve: true },
    },
    {
      name: 'no-undeclared-package', comment: 'Add the package to package.json; what another package brought may go with it.',
      severity: 'error', from: {}, to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'], extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
};
