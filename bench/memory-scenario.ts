// Memory during one upload, one upload in a form and one download of 1 GiB, and during 16 uploads of 256 MiB at once, above what the idle server takes. A fresh server, so that what
// other scenarios left behind is not counted.
import { setTimeout as wait } from 'node:timers/promises';
import { uploadForm } from './adapter-scenarios.ts';
import { MIB, upload } from './byte-scenarios.ts';
import { expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import { nodeProcesses, peakMibDuring, residentMib } from './process-memory.ts';
import { startMuniment } from './servers.ts';

const SIZE = 1024 * MIB;
const IDLE_MS = 3_000;

export interface MemoryResult {
  scenario: 'memory-1g';
  idleMib: number;
  uploadPeakMib: number;
  formPeakMib: number;
  downloadPeakMib: number;
  /** The higher peak over idle. */
  aboveIdleMib: number;
}

export interface CrowdMemoryResult {
  scenario: 'memory-16x256m';
  idleMib: number;
  peakMib: number;
  aboveIdleMib: number;
}

const CROWD = 16;

export async function runCrowdMemoryScenario(): Promise<CrowdMemoryResult> {
  const peer = await startMuniment();
  const connections = openConnections(CROWD);
  const target = { name: 'muniment' as const, peer, connections, inbox: `${peer.base}/Binary`, litter: [] };
  try {
    await warmUp(target);
    await wait(IDLE_MS);
    const pids = await nodeProcesses(peer.pid);
    const idleMib = await residentMib(pids);
    const peakMib = await peakMibDuring(pids, () => Promise.all(Array.from({ length: CROWD }, () => upload(target, 256 * MIB))));
    return { scenario: 'memory-16x256m', idleMib, peakMib, aboveIdleMib: peakMib - idleMib };
  } finally {
    connections.close();
    await peer.stop();
  }
}

export async function runMemoryScenario(): Promise<MemoryResult> {
  const peer = await startMuniment();
  const connections = openConnections(1);
  const target = { name: 'muniment' as const, peer, connections, inbox: `${peer.base}/Binary`, litter: [] };
  try {
    await warmUp(target);
    await wait(IDLE_MS);
    const pids = await nodeProcesses(peer.pid);
    const idleMib = await residentMib(pids);
    let url = '';
    const uploadPeakMib = await peakMibDuring(pids, async () => { url = await upload(target, SIZE); });
    const formPeakMib = await peakMibDuring(pids, () => uploadForm(connections, peer, SIZE));
    const headers = { ...peer.headers, accept: '*/*' };
    const downloadPeakMib = await peakMibDuring(pids, () => expectReply(connections, { method: 'GET', url, headers }, 200));
    return { scenario: 'memory-1g', idleMib, uploadPeakMib, formPeakMib, downloadPeakMib, aboveIdleMib: Math.max(uploadPeakMib, formPeakMib, downloadPeakMib) - idleMib };
  } finally {
    connections.close();
    await peer.stop();
  }
}

/** Idle means loaded: code and connections that any first transfer brings are no cost of size. */
async function warmUp(target: Parameters<typeof upload>[0]): Promise<void> {
  const url = await upload(target, 4 * MIB);
  await uploadForm(target.connections, target.peer, 4 * MIB);
  await expectReply(target.connections, { method: 'GET', url, headers: { ...target.peer.headers, accept: '*/*' } }, 200);
}
