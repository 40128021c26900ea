// Small requests against the driver's own ceiling: create, read, a page of one patient's documents of one category, and a
// transaction of twenty documents.
import { categoryQuery, documentText } from './bench-documents.ts';
import { createdUrl, expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import type { Connections } from './keep-alive.ts';
import type { LoopBounds } from './closed-loop.ts';
import type { Scenario, Subject } from './scenario.ts';
import type { Peer } from './servers.ts';

const CLIENTS = 16;
const ATTACHMENT = { contentType: 'application/pdf', url: 'https://archive.example.org/note.pdf' };
const FHIR_JSON = 'application/fhir+json';

/** A peer with documents in it: what was created so far, in order. */
interface Loaded {
  name: Subject['name'];
  peer: Peer;
  connections: Connections;
  documents: string[];
  next(): number;
}

export interface RequestScenarios {
  scenario(name: 'create' | 'read' | 'search' | 'transaction'): Scenario;
  close(): void;
}

export async function loadRequestScenarios(muniment: Peer, other: { name: Subject['name']; peer: Peer }, quick: boolean): Promise<RequestScenarios> {
  const documents = quick ? 400 : 4_000;
  const ours = await load('muniment', muniment, documents);
  const yardstick = await load(other.name, other.peer, documents);
  const bounds: LoopBounds = { clients: CLIENTS, seconds: quick ? 1.5 : 5, countMax: 50_000 };
  const works = { create, read, search, transaction };
  const subject = (loaded: Loaded, name: keyof typeof works): Subject => ({ name: loaded.name, work: () => works[name](loaded) });
  return {
    scenario: (name) => ({ name, bounds, ours: subject(ours, name), yardstick: subject(yardstick, name) }),
    close: () => { ours.connections.close(); yardstick.connections.close(); },
  };
}

async function load(name: Subject['name'], peer: Peer, count: number): Promise<Loaded> {
  let position = 0;
  const loaded: Loaded = { name, peer, connections: openConnections(CLIENTS), documents: [], next: () => position++ };
  const client = async (): Promise<void> => {
    while (loaded.documents.length < count) loaded.documents.push(await createOne(loaded));
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return loaded;
}

async function createOne({ peer, connections, next }: Loaded): Promise<string> {
  const headers = { ...peer.headers, 'content-type': FHIR_JSON, accept: FHIR_JSON };
  const call = { method: 'POST' as const, url: `${peer.base}/DocumentReference`, headers, body: documentText(next(), ATTACHMENT) };
  return createdUrl(await expectReply(connections, call, 201), peer.base);
}

async function create(loaded: Loaded): Promise<void> {
  await createOne(loaded);
}

async function read({ peer, connections, documents }: Loaded): Promise<void> {
  const url = documents[Math.floor(Math.random() * documents.length)] as string;
  await expectReply(connections, { method: 'GET', url, headers: { ...peer.headers, accept: FHIR_JSON } }, 200);
}

async function search({ peer, connections }: Loaded): Promise<void> {
  const url = `${peer.base}/DocumentReference?${categoryQuery(Math.floor(Math.random() * 1_000))}`;
  await expectReply(connections, { method: 'GET', url, headers: { ...peer.headers, accept: FHIR_JSON } }, 200);
}

const TRANSACTION_ENTRIES = 20;

async function transaction({ peer, connections, next }: Loaded): Promise<void> {
  const entries = Array.from({ length: TRANSACTION_ENTRIES }, () => `{"resource":${documentText(next(), ATTACHMENT)},"request":{"method":"POST","url":"DocumentReference"}}`);
  const headers = { ...peer.headers, 'content-type': FHIR_JSON, accept: FHIR_JSON };
  await expectReply(connections, { method: 'POST', url: peer.base, headers, body: `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(',')}]}` }, 200);
}
