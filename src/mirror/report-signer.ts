// Who signs the report of a comparison: the key that seals the log (AUDIT_SIGNING_KEY_FILE, or DATA_DIR), where it is at hand and is the
// log's newest; else a key that all servers of the database share.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { printVerifier } from '../audit/checkpoint.ts';
import type { Database } from '../database/database.ts';
import { newestVerifier, readSigningKeys, type KeyPlace } from '../log/signing-key.ts';
import { reportKey } from './reconcile-report.ts';

export interface ReportSigner {
  key: KeyObject;
  /** The line of signed-note that names the key of the log; undefined for the key of the database. */
  verifier?: string;
}

/** `secret` is what the servers of the database share. Rejects with an Error for people where a file holds no key. */
export async function findReportSigner(database: Pick<Database, 'workerTransaction'>, place: KeyPlace, secret: Buffer): Promise<ReportSigner> {
  const newest = await database.workerTransaction(newestVerifier);
  const name = newest?.verifier.slice(0, newest.verifier.indexOf('+')) ?? '';
  for (const key of newest === undefined ? [] : await readSigningKeys(place)) {
    const verifier = printVerifier({ name, publicKey: createPublicKey(key) });
    if (verifier === newest?.verifier) return { key, verifier };
  }
  return { key: reportKey(secret) };
}
