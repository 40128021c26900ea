// What the development authorization server remembers, one file a record below DATA_DIR: a restart loses no grant, and
// `muniment launch` reaches a server that runs. The shape is oidc-provider's adapter.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Adapter, AdapterPayload } from 'oidc-provider';

interface Record {
  /** Milliseconds since the epoch; absent = never. */
  expires?: number;
  payload: AdapterPayload;
}

export interface AuthorizationStore {
  adapter(model: string): Adapter;
  put(model: string, id: string, payload: object, ttlSeconds?: number): Promise<void>;
  get<Payload>(model: string, id: string): Promise<Payload | undefined>;
  remove(model: string, id: string): Promise<void>;
  /** At once, for the path of every request: whether a record lies there, expired or not. */
  holds(model: string, id: string): boolean;
  /** Removes what has expired. */
  sweep(): Promise<void>;
}

/** An id may hold any character; a file name may not. */
const fileName = (id: string): string => `${createHash('sha256').update(id).digest('hex')}.json`;

export function openAuthorizationStore(folder: string, now: () => number = Date.now): AuthorizationStore {
  const pathOf = (model: string, id: string): string => join(folder, model, fileName(id));

  async function writeRecord(path: string, record: Record): Promise<void> {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    const draft = `${path}.${randomUUID()}`;
    await writeFile(draft, JSON.stringify(record), { mode: 0o600 });
    await rename(draft, path);
  }

  async function readRecord(path: string): Promise<Record | undefined> {
    try {
      const record = JSON.parse(await readFile(path, 'utf8')) as Record;
      return record.expires !== undefined && record.expires <= now() ? undefined : record;
    } catch {
      // Not there, or half written by a machine that failed: both mean that it is not known.
      return undefined;
    }
  }

  async function put(model: string, id: string, payload: object, ttlSeconds?: number): Promise<void> {
    await writeRecord(pathOf(model, id), { payload: payload as AdapterPayload, ...(ttlSeconds === undefined ? {} : { expires: now() + ttlSeconds * 1_000 }) });
  }

  const get = async <Payload>(model: string, id: string): Promise<Payload | undefined> => (await readRecord(pathOf(model, id)))?.payload as Payload | undefined;
  const remove = (model: string, id: string): Promise<void> => rm(pathOf(model, id), { force: true });

  /** What belongs to a grant ends with it: a folder of the grant names it. */
  const membersOf = (grantId: string): string => join(folder, 'members', fileName(grantId));

  async function belongTo(grantId: string, model: string, id: string): Promise<void> {
    await mkdir(membersOf(grantId), { recursive: true, mode: 0o700 });
    await writeFile(join(membersOf(grantId), `${model}.${fileName(id)}`), '', { mode: 0o600 });
  }

  async function revokeGrant(grantId: string): Promise<void> {
    const members = await readdir(membersOf(grantId)).catch(() => []);
    for (const member of members) {
      const [model = '', ...rest] = member.split('.');
      await rm(join(folder, model, rest.join('.')), { force: true });
    }
    await rm(membersOf(grantId), { recursive: true, force: true });
  }

  function adapter(model: string): Adapter {
    return {
      async upsert(id, payload, expiresIn: number | undefined) {
        await put(model, id, payload, expiresIn);
        if (payload.grantId !== undefined && model !== 'Session') await belongTo(payload.grantId, model, id);
        if (model === 'Session' && payload.uid !== undefined) await put('SessionUid', payload.uid, { id }, expiresIn);
      },
      find: (id) => get<AdapterPayload>(model, id),
      async findByUid(uid) {
        const named = await get<{ id: string }>('SessionUid', uid);
        return named === undefined ? undefined : get<AdapterPayload>(model, named.id);
      },
      findByUserCode: () => Promise.resolve(undefined),
      async consume(id) {
        const record = await readRecord(pathOf(model, id));
        if (record === undefined) return;
        await writeRecord(pathOf(model, id), { ...record, payload: { ...record.payload, consumed: Math.floor(now() / 1_000) } });
      },
      destroy: (id) => remove(model, id),
      revokeByGrantId: revokeGrant,
    };
  }

  async function sweep(): Promise<void> {
    for (const model of await readdir(folder).catch(() => [])) {
      if (model === 'members' || model === 'keys') continue;
      for (const name of await readdir(join(folder, model)).catch(() => [])) {
        if (await readRecord(join(folder, model, name)) === undefined) await rm(join(folder, model, name), { force: true });
      }
    }
  }

  return { adapter, put, get, remove, holds: (model, id) => existsSync(pathOf(model, id)), sweep };
}
