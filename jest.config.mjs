// Two projects: `pure` needs no network and runs in seconds; `engines` runs on real PostgreSQL, MinIO and HAPI.
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }] },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/data/'],
};

const PURE = ['fhir', 'audit', 'access', 'validation', 'search', 'http', 'config', 'architecture'];

export default {
  maxWorkers: 2,
  // A machine that does other work meanwhile is slow, not wrong.
  testTimeout: 60_000,
  projects: [
    { ...shared, displayName: 'pure', testMatch: PURE.map((room) => `<rootDir>/test/${room}/**/*.test.ts`) },
    {
      ...shared,
      displayName: 'engines',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: [...PURE.map((room) => `<rootDir>/test/${room}/`), '/node_modules/'],
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
    },
  ],
};
