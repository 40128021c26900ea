// The EHR's side of a launch (SMART App Launch 2.2, EHR launch): who and what is open in the record when an app is opened.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openAuthorizationStore, type AuthorizationStore } from './authorization-store.ts';

export interface LaunchContext {
  org: string;
  /** Ids. */
  patient?: string;
  encounter?: string;
  /** Practitioner/ID: who works at the EHR, and needs no login of their own. */
  user?: string;
}

const LAUNCH_SECONDS = 3_600;

/** Where the authorization server of a data folder keeps what it remembers. */
export function authorizationFolder(dataDir: string): string {
  return join(dataDir, 'authorization-server');
}

/** The value for the parameter `launch`, good for an hour; a server of the same folder understands it. */
export async function registerLaunch(dataDir: string, context: LaunchContext): Promise<string> {
  const value = randomBytes(24).toString('base64url');
  await openAuthorizationStore(authorizationFolder(dataDir)).put('Launch', value, context, LAUNCH_SECONDS);
  return value;
}

export function findLaunch(store: AuthorizationStore, value: unknown): Promise<LaunchContext | undefined> {
  return typeof value === 'string' && value !== '' ? store.get<LaunchContext>('Launch', value) : Promise.resolve(undefined);
}
