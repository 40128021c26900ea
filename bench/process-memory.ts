// Resident memory of a server's Node processes, as Linux tells it (proc(5): VmRSS, VmHWM). Its database is not counted.
import { readFile, readdir, writeFile } from 'node:fs/promises';

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')));
  return lists.flatMap((list) => list.trim().split(' ').filter((word) => word !== '').map(Number));
}

/** The process and those it started, as far as they are Node: a launcher and its server count together. */
export async function nodeProcesses(pid: number): Promise<number[]> {
  const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
  if (!/^(node|MainThread)$/.test(name)) return [];
  const below = await Promise.all((await childrenOf(pid)).map(nodeProcesses));
  return [pid, ...below.flat()];
}

async function sumOf(pids: readonly number[], field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/status`, 'utf8')));
  const kib = texts.map((text) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0));
  return kib.reduce((sum, value) => sum + value, 0) / 1024;
}

/** MiB resident now. */
export function residentMib(pids: readonly number[]): Promise<number> {
  return sumOf(pids, 'VmRSS');
}

/** Runs `work` and tells the highest MiB resident meanwhile: the kernel's own peak, reset before. */
export async function peakMibDuring(pids: readonly number[], work: () => Promise<unknown>): Promise<number> {
  for (const pid of pids) await writeFile(`/proc/${pid}/clear_refs`, '5');
  await work();
  return sumOf(pids, 'VmHWM');
}
