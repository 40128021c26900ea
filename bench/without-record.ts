// For `npm run bench -- recorded`: the server as it is, but that no access is recorded. It is what the record is measured against,
// and there is no setting that does this.
import { register } from 'node:module';

/** Stands where the server imports its writer of the record. */
const WRITER = `export const recordInTransaction = () => {};
export const createAccessRecorder = () => ({ record: () => Promise.resolve(), depth: () => 0 });`;

const HOOK = `export function resolve(specifier, context, next) {
  return specifier.endsWith('/record-access.js') ? { url: 'data:text/javascript,' + encodeURIComponent(${JSON.stringify(WRITER)}), shortCircuit: true } : next(specifier, context);
}`;

register(`data:text/javascript,${encodeURIComponent(HOOK)}`);
