// The floors of the house: arrows go down only. Types count as imports.
const FLOORS = [
  ['main', '^src/(main|serve-command|token-command|operator-commands)\\.ts$'],
  ['server', '^src/(server|open-parts|software-version)\\.ts$'],
  ['http', '^src/(http|adapters)/'],
  ['gate', '^src/(gate|operations)/'],
  ['interactions', '^src/(interactions|mirror)/'],
  ['resources', '^src/(resources|records)/'],
  ['search', '^src/search/'],
  ['rules', '^src/(access|audit|content|validation)/'],
  ['database', '^src/database/'],
  ['ground', '^src/(fhir|config)/|^src/(logger|metrics)\\.ts$'],
];

const upward = FLOORS.slice(1).map(([name, path], index) => ({
  name: `no-arrow-up-from-${name}`,
  comment: `${name} may use its own floor and those below it. What it needs from above comes as an argument.`,
  severity: 'error',
  from: { path },
  to: { path: FLOORS.slice(0, index + 1).map(([, above]) => above).join('|') },
}));

// Shapes that several interactions share; they are no interactions.
const SHARED = '^src/interactions/(interaction|representation|read-body|prepare-document|write-outcome|conditional-match|digest-headers|base64-resource)\\.ts$';

export default {
  forbidden: [
    ...upward,
    {
      name: 'no-circles', comment: 'Two files that need each other are one file, or need a third below both.',
      severity: 'error', from: {}, to: { circular: true },
    },
    {
      name: 'no-interaction-imports-another', comment: 'Put what two interactions share on the floor below, or into one of the shared shapes.',
      severity: 'error', from: { path: '^src/interactions/', pathNot: SHARED }, to: { path: '^src/interactions/', pathNot: SHARED },
    },
    {
      name: 'gate-knows-the-shape-alone', comment: 'The gate runs whatever it is handed: it may know interaction.ts and no interaction.',
      severity: 'error', from: { path: '^src/gate/' }, to: { path: '^src/interactions/', pathNot: '^src/interactions/interaction\\.ts$' },
    },
    {
      name: 'express-stays-in-http', comment: 'Express is known in http/ and adapters/ alone; hand over a FhirRequest instead.',
      severity: 'error', from: { path: '^src/', pathNot: '^src/(http|adapters)/' }, to: { path: '^node_modules/express/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'stores-stay-in-their-folder', comment: 'Object stores are known in content/stores/ alone; use ContentStore.',
      severity: 'error', from: { path: '^src/', pathNot: '^src/content/stores/' }, to: { path: '^node_modules/minio/' },
    },
    {
      name: 'hapi-stays-in-the-mirror', comment: 'HAPI is known in mirror/ alone.',
      severity: 'error', from: { path: '^src/', pathNot: '^src/mirror/(deliver|call-hapi)\\.ts$' }, to: { path: '^node_modules/fhir-kit-client/' },
    },
    {
      name: 'knex-stays-with-the-tables', comment: 'knex runs migrations; statements are sent through database.ts.',
      severity: 'error', from: { path: '^src/', pathNot: '^src/database/' }, to: { path: '^node_modules/knex/' },
    },
    {
      name: 'the-language-does-no-io', comment: 'fhir/ and audit/ are pure: time, ids and bytes are arguments.',
      severity: 'error', from: { path: '^src/(fhir|audit)/' }, to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'], extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
};
