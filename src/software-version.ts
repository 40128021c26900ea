// The version of this release, as package.json has it; compared by a test.
export const SOFTWARE_VERSION = '0.1.0';
