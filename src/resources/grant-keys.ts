// The keys that sign the tokens of signed URLs. All servers of one database share them; the newest signs, it and the one
// before are believed, so that a new key breaks no URL that is out.
import { randomBytes } from 'node:crypto';
import { keyNumberOf, printGrantToken, readGrantToken, type GrantKey, type NamedGrant } from '../access/grant-token.ts';
import { MINUTES_MAX } from '../access/access-grant.ts';
import type { Database } from '../database/database.ts';

export interface GrantKeys {
  /** The token of a grant, by the newest key. */
  sign(grant: NamedGrant): Promise<string>;
  /** The grant that the token names; undefined for one that none of the keys signed. */
  verify(token: string): Promise<NamedGrant | undefined>;
}

/** How long another server may go on signing by the key before the newest. */
const KNOWN_MS = 60_000;
/** What is forged must not make us ask the database each time. */
const ASKED_AGAIN_MS = 1_000;
const PREFIX = 'grant-key/';

const nameOf = (number: number): string => `${PREFIX}${String(number).padStart(6, '0')}`;

interface KeyRow {
  name: string;
  value: Buffer;
  created_at: Date;
}

/** Newest first. */
async function readKeys(database: Pick<Database, 'query'>): Promise<(GrantKey & { createdAt: number })[]> {
  const { rows } = await database.query<KeyRow>({ text: `select name, value, created_at from server_secret where name like '${PREFIX}%' order by name desc limit 2` });
  return rows.map(({ name, value, created_at }) => ({ number: Number(name.slice(PREFIX.length)), secret: value, createdAt: created_at.getTime() }));
}

async function insertKey(database: Pick<Database, 'query'>, number: number): Promise<void> {
  await database.query({ text: 'insert into server_secret (name, value) values ($1, $2) on conflict (name) do nothing', values: [nameOf(number), randomBytes(32)] });
}

/** A new key signs from now on. Answers its number; undefined where the newest is so young that a URL of the one before may still be out. */
export async function addGrantKey(database: Pick<Database, 'query'>, now: number): Promise<number | undefined> {
  const [newest, older] = await readKeys(database);
  if (newest !== undefined && older !== undefined && now - newest.createdAt < MINUTES_MAX * 60_000 + KNOWN_MS) return undefined;
  const number = (newest?.number ?? 0) + 1;
  await insertKey(database, number);
  return number;
}

export function createGrantKeys(database: Pick<Database, 'query'>, now: () => number = () => performance.now()): GrantKeys {
  let known: GrantKey[] = [];
  let readAt = -Infinity;

  async function read(): Promise<GrantKey[]> {
    let keys = await readKeys(database);
    if (keys.length === 0) {
      await insertKey(database, 1);
      keys = await readKeys(database);
    }
    known = keys;
    readAt = now();
    return keys;
  }

  async function recent(ms: number): Promise<readonly GrantKey[]> {
    return now() - readAt < ms ? known : read();
  }

  return {
    sign: async (grant) => printGrantToken((await recent(KNOWN_MS))[0] as GrantKey, grant),
    async verify(token) {
      const number = keyNumberOf(token);
      if (number === undefined) return undefined;
      const keys = await recent(KNOWN_MS);
      const isKnown = keys.some((key) => (key.number & 0xff) === number);
      return readGrantToken(isKnown ? keys : await recent(ASKED_AGAIN_MS), token);
    },
  };
}
