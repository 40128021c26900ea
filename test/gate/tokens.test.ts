// Which tokens open the door, and how each other one is refused (RFC 6750, RFC 8725, RFC 9068).
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { importJWK, type CryptoKey, type JWK } from 'jose';
import { DEVELOPMENT_ISSUER } from '../../src/access/development-issuer.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { confused, makeKey, sign, unsigned, type SigningKey } from '../support/signed-token.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
let key: SigningKey;

beforeAll(async () => {
  server = await startMuniment();
  admin = fhirClient(server.fhirBase, await server.token());
  const file = JSON.parse(await readFile(join(server.dataDir, 'development-issuer.json'), 'utf8')) as { kid: string; privateKey: JWK; publicKey: JWK };
  key = { kid: file.kid, alg: 'ES256', privateKey: (await importJWK(file.privateKey, 'ES256')) as CryptoKey, publicKey: file.publicKey };
});
afterAll(() => server.stop());

const now = (): number => Math.floor(Date.now() / 1_000);

function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const all: Record<string, unknown> = { iss: DEVELOPMENT_ISSUER, sub: 'somebody', aud: server.fhirBase, exp: now() + 300, iat: now(), jti: randomUUID(), scope: 'user/*.rs', org: 'demo', role: ['admin'], client_id: 'app', ...changes };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const asked = (token: string): Promise<Answer> => admin.call('DocumentReference?_count=1', { token });

async function refused(token: string, detail = 'token-invalid'): Promise<void> {
  const answer = await asked(token);
  expect([answer.status, answer.json.issue[0].details.coding[0].code]).toEqual([401, detail]);
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="Muniment", error="invalid_token", error_description="[^"]+"$/);
  if (token.length > 40) expect(answer.text).not.toContain(token.slice(-40));
}

describe('a token that is welcome', () => {
  it('has a signature of the issuer, this audience and a time that holds', async () => {
    expect((await asked(await sign(key, claims()))).status).toBe(200);
    expect((await asked(await sign(key, claims({ aud: ['https://other.example', server.fhirBase] })))).status).toBe(200);
  });

  it('may come in a header of any case, with more than one space', async () => {
    const token = await sign(key, claims());
    for (const authorization of [`bearer ${token}`, `BEARER   ${token}`]) expect((await admin.call('DocumentReference?_count=1', { token: null, headers: { authorization } })).status).toBe(200);
  });
});

describe('a token that is not', () => {
  it.each([
    ['expired', { exp: 1_000_000_000 }, 'token-expired'],
    ['without an end', { exp: undefined }, 'token-invalid'],
    ['not valid yet', { nbf: 9_000_000_000 }, 'token-invalid'],
    ['issued in the future', { iat: 9_000_000_000 }, 'token-invalid'],
    ['for another audience', { aud: 'https://other.example/fhir' }, 'token-invalid'],
    ['without an audience', { aud: undefined }, 'token-invalid'],
    ['of another issuer', { iss: 'https://other.example' }, 'token-invalid'],
    ['without an issuer', { iss: undefined }, 'token-invalid'],
    ['without an organisation', { org: undefined }, 'token-invalid'],
    ['of two organisations', { org: ['a', 'b'] }, 'token-invalid'],
    ['of an organisation with a strange name', { org: '../etc' }, 'token-invalid'],
    ['of nobody', { sub: undefined, client_id: undefined }, 'token-invalid'],
  ])('%s is 401', async (_what, changes, detail) => refused(await sign(key, claims(changes)), detail));

  it('signed by another key under the known key id, or with an unknown key id, is 401', async () => {
    const other = await makeKey();
    await refused(await sign({ ...other, kid: key.kid }, claims()));
    await refused(await sign(other, claims()));
  });

  it('that brings its own key, or the address of one, is 401', async () => {
    const own = await makeKey();
    await refused(await sign(own, claims(), { jwk: own.publicKey }));
    await refused(await sign(own, claims(), { jku: 'https://attacker.example/jwks' }));
    await refused(await sign(own, claims(), { x5u: 'https://attacker.example/x' }));
    await refused(await sign(own, claims(), { x5c: ['AAAA'] }));
  });

  it('without a signature, with the public key as a secret, or with a critical header that nobody knows, is 401', async () => {
    await refused(unsigned(claims()));
    await refused(confused(JSON.stringify(key.publicKey), key.kid, claims()));
    const token = await sign(key, claims());
    const [head = '', ...rest] = token.split('.');
    const critical = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(head, 'base64url').toString()) as object), crit: ['exp2'], exp2: 1 })).toString('base64url');
    await refused([critical, ...rest].join('.'));
  });

  it('with one changed character anywhere is 401', async () => {
    const token = await sign(key, claims());
    for (let at = 1; at < token.length - 2; at += Math.ceil(token.length / 25)) {
      const changed = token[at] === 'A' ? 'B' : 'A';
      if (token[at] === '.') continue;
      expect([at, (await asked(token.slice(0, at) + changed + token.slice(at + 1))).status]).toEqual([at, 401]);
    }
  });

  it.each(['garbage', 'a.b', 'a.b.c', 'a.b.c.d.e', '....', `${'a'.repeat(9_000)}.${'b'.repeat(9_000)}.c`])('that is none at all (%.20s) is 401', async (token) => refused(token));

  it('in no header, or in one of another scheme, is 401 with a challenge that names no error', async () => {
    for (const headers of [{}, { authorization: 'Basic ZGVtbzpkZW1v' }, { authorization: 'Bearer' }, { authorization: 'Bearer ' }]) {
      const answer = await admin.call('DocumentReference', { token: null, headers: headers });
      expect([answer.status, answer.headers.get('www-authenticate'), answer.json.issue[0].code]).toEqual([401, 'Bearer realm="Muniment"', 'login']);
    }
  });

  it('in the query is no token', async () => {
    const answer = await admin.call(`DocumentReference?access_token=${await sign(key, claims())}`, { token: null });
    expect(answer.status).toBe(401);
    const [event] = await admin.auditOf(answer.headers.get('x-request-id') ?? '');
    const query = Buffer.from(event.entity.find((entity: { query?: string }) => entity.query !== undefined).query, 'base64').toString();
    expect(query).not.toMatch(/access_token=ey/);
  });
});

describe('the memory of tokens', () => {
  it('ends with the token: past its end and the leeway it is 401, though it was just used', async () => {
    const token = await sign(key, claims({ exp: now() + 1 }));
    expect((await asked(token)).status).toBe(200);
    await sleep(1_500);
    const late = await asked(token);
    // Leeway is at most a minute (RFC 7519 4.1.4); five seconds here.
    expect([200, 401]).toContain(late.status);
    await sleep(5_500);
    expect((await asked(token)).status).toBe(401);
  }, 15_000);

  it('does not mix up tokens: each acts as what it says', async () => {
    const [first, second] = [await sign(key, claims({ sub: 'first', client_id: 'one' })), await sign(key, claims({ sub: 'second', client_id: 'two', role: ['no-such-role'] }))];
    for (let turn = 0; turn < 3; turn += 1) expect([(await asked(first)).status, (await asked(second)).status]).toEqual([200, 403]);
  });
});

describe('403', () => {
  it('for a scope names insufficient_scope, for a role it does not, and patient/ scopes need a patient', async () => {
    const scope = await asked(await sign(key, claims({ scope: 'user/Media.rs' })));
    expect([scope.status, scope.headers.get('www-authenticate')]).toEqual([403, 'Bearer realm="Muniment", error="insufficient_scope"']);
    const role = await asked(await sign(key, claims({ role: [] })));
    expect([role.status, role.headers.get('www-authenticate')]).toEqual([403, null]);
    expect((await asked(await sign(key, claims({ scope: 'patient/*.rs' })))).status).toBe(403);
    expect((await asked(await sign(key, claims({ scope: 'patient/*.rs', patient: 'p1' })))).status).toBe(200);
  });
});
