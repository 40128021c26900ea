// Bytes against the bare pipeline, which hashes, stores and checks as much: whole uploads and downloads, ranges, and the
// job of a clinic: a PDF of 1 MiB and the document that describes it.
import { documentText, pdfOf, streamBlock } from './bench-documents.ts';
import { createdUrl, expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import type { Call, Connections, Reply } from './keep-alive.ts';
import type { Scenario, Subject } from './scenario.ts';
import type { Peer } from './servers.ts';

export const MIB = 1_048_576;
const CLIENTS = 16;
const DOWNLOAD_BYTES = 64 * MIB;

interface Target {
  name: Subject['name'];
  peer: Peer;
  connections: Connections;
  /** Where bytes are posted. */
  inbox: string;
  /** Created since the last tidying, only where a peer is tidied. */
  litter: string[];
}

export interface ByteScenarios {
  scenario(name: 'story-1m' | 'upload-256m' | 'download-64m' | 'range-1m'): Promise<Scenario>;
  close(): void;
}

const BLOCK = streamBlock();
let stories = 0;

export function openByteScenarios(muniment: Peer, bare: Peer, quick: boolean): ByteScenarios {
  const ours: Target = { name: 'muniment', peer: muniment, connections: openConnections(CLIENTS), inbox: `${muniment.base}/Binary`, litter: [] };
  const yardstick: Target = { name: 'bare', peer: bare, connections: openConnections(CLIENTS), inbox: `${bare.base}/`, litter: [] };
  const seconds = quick ? 1.5 : 4;
  const both = (work: (target: Target) => Promise<void>): Pick<Scenario, 'ours' | 'yardstick'> => ({
    ours: { name: ours.name, work: () => work(ours) },
    yardstick: { name: yardstick.name, work: () => work(yardstick), settle: () => tidy(yardstick) },
  });
  const makers = {
    'story-1m': async () => ({ bounds: { clients: CLIENTS, seconds, countMax: 300 }, ...both(story) }),
    'upload-256m': async () => ({ bytes: 256 * MIB, bounds: { clients: 1, seconds: 120, countMax: 1 }, ...both(uploadLarge) }),
    'download-64m': async () => ({ bytes: DOWNLOAD_BYTES, bounds: { clients: 1, seconds, countMax: 50 }, ...await downloads(download) }),
    'range-1m': async () => ({ bytes: MIB, bounds: { clients: 4, seconds, countMax: 5_000 }, ...await downloads(downloadRange) }),
  };
  /** Each side first gets the file that is then read; it outlives the tidying of rounds. */
  async function downloads(work: (target: Target, url: string) => Promise<void>): Promise<Pick<Scenario, 'ours' | 'yardstick'>> {
    const [here, there] = [await upload(ours, DOWNLOAD_BYTES), await upload(yardstick, DOWNLOAD_BYTES)];
    yardstick.litter.length = 0;
    return { ours: { name: ours.name, work: () => work(ours, here) }, yardstick: { name: yardstick.name, work: () => work(yardstick, there) } };
  }
  return {
    scenario: async (name) => ({ name, ...await makers[name]() }),
    close: () => { ours.connections.close(); yardstick.connections.close(); },
  };
}

async function post(target: Target, call: Pick<Call, 'url' | 'body' | 'stream'>, contentType: string): Promise<string> {
  // `minimal` spares both sides an answer that would hold the bytes once more.
  const headers = { ...target.peer.headers, 'content-type': contentType, accept: 'application/fhir+json', prefer: 'return=minimal' };
  const url = createdUrl(await expectReply(target.connections, { method: 'POST', headers, ...call }, 201), target.peer.base);
  target.litter.push(url);
  return url;
}

export function upload(target: Target, size: number): Promise<string> {
  return post(target, { url: target.inbox, stream: { size, block: BLOCK } }, 'application/octet-stream');
}

async function uploadLarge(target: Target): Promise<void> {
  await upload(target, 256 * MIB);
}

async function story(target: Target): Promise<void> {
  const position = stories++;
  const url = await post(target, { url: target.inbox, body: pdfOf(BLOCK, position) }, 'application/pdf');
  const document = documentText(position, { url, contentType: 'application/pdf', size: MIB });
  const documents = target.name === 'muniment' ? `${target.peer.base}/DocumentReference` : target.inbox;
  await post(target, { url: documents, body: document }, 'application/fhir+json');
}

async function fetchBytes(target: Target, url: string, headers: Record<string, string>, status: number, bytes: number): Promise<Reply> {
  const call: Call = { method: 'GET', url, headers: { ...target.peer.headers, accept: '*/*', ...headers } };
  const reply = await expectReply(target.connections, call, status);
  if (reply.bytes !== bytes) throw new Error(`${reply.bytes} bytes came instead of ${bytes}`);
  return reply;
}

async function download(target: Target, url: string): Promise<void> {
  await fetchBytes(target, url, {}, 200, DOWNLOAD_BYTES);
}

async function downloadRange(target: Target, url: string): Promise<void> {
  const start = Math.floor(Math.random() * (DOWNLOAD_BYTES - MIB));
  await fetchBytes(target, url, { range: `bytes=${start}-${start + MIB - 1}` }, 206, MIB);
}

async function tidy(target: Target): Promise<void> {
  for (const url of target.litter.splice(0)) await target.connections.call({ method: 'DELETE', url });
}
