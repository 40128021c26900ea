// The conversation with clamd (ClamAV): VERSION, and INSTREAM while bytes pass by. Only the literal `stream: OK` is clean:
// a limit, an error, an early close and silence are not.
import { connect, type Socket } from 'node:net';

export interface ClamdAddress {
  host: string;
  port: number;
}

export type ScanAnswer =
  | { verdict: 'clean' }
  | { verdict: 'infected'; signature: string }
  /** Over a limit of the scanner: it will not be told by asking again. */
  | { verdict: 'unscannable'; reason: string }
  /** `cut`: the scanner closed while bytes were on their way, as it does past its limit too. */
  | { verdict: 'failed'; reason: string; cut: boolean };

export interface ScanTimes {
  /** Milliseconds until a short question must be answered. */
  questionMs: number;
  /** Milliseconds between two looks at whether a silent scanner is alive. */
  lookMs: number;
  /** Milliseconds for one verdict, once all bytes are there. */
  verdictMs: number;
}

export const SCAN_TIMES: ScanTimes = { questionMs: 2_000, lookMs: 5_000, verdictMs: 600_000 };

const SILENT = 'the scanner does not answer';

/** One scan under way. */
export interface ScanSession {
  /** Resolves when there is room for more. Once the scanner has left or answered the bytes go nowhere, which is no error. */
  write(bytes: Buffer): Promise<void>;
  /** Says that there are no more bytes, and waits for the answer. Never rejects. */
  finish(): Promise<ScanAnswer>;
  /** Lets go of the connection. */
  close(): void;
}

/** The answer to one command. Rejects when it does not come in time: a stopped clamd still has its connections accepted. */
export function askClamd(address: ClamdAddress, command: 'PING' | 'VERSION', { questionMs }: ScanTimes = SCAN_TIMES): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    let answer = '';
    const timer = setTimeout(() => { socket.destroy(new Error(SILENT)); }, questionMs);
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('utf8');
      if (answer.includes('\0') || answer.length > 1_000) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      if (answer === '') reject(new Error('the scanner closed the connection')); else resolve(answer.replace(/\0.*$/s, '').trim());
    });
    socket.write(`z${command}\0`);
  });
}

/** What clamd says of a stream. */
export function readScanAnswer(answer: string, failure: string | undefined, cut: boolean): ScanAnswer {
  const text = answer.replace(/\0.*$/s, '').trim();
  if (text === 'stream: OK') return { verdict: 'clean' };
  const signature = /^stream: (.+) FOUND$/.exec(text)?.[1];
  if (signature?.startsWith('Heuristics.Limits.Exceeded') === true) return { verdict: 'unscannable', reason: signature };
  if (signature !== undefined) return { verdict: 'infected', signature };
  if (text.startsWith('INSTREAM size limit exceeded')) return { verdict: 'unscannable', reason: 'over the StreamMaxLength of the scanner' };
  return { verdict: 'failed', reason: text === '' ? failure ?? 'the scanner closed the connection without an answer' : text.slice(0, 200), cut: cut && text === '' };
}

/** Begins a scan. `alive` is asked while the scanner is silent; it rejects when the scanner does not answer there either. */
export function openScan(address: ClamdAddress, alive: () => Promise<unknown>, times: ScanTimes = SCAN_TIMES): ScanSession {
  const socket = connect({ ...address, noDelay: true });
  let answer = '';
  let failure: string | undefined;
  let finishing = false;
  let cut = false;
  const giveUp = (reason: string): void => {
    failure ??= reason;
    socket.destroy();
  };
  // From the start: clamd may answer and close while bytes are on their way, and the answer would be lost behind an EPIPE.
  const over = new Promise<void>((resolve) => {
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('utf8');
      if (answer.includes('\0') || answer.length > 10_000) resolve();
    });
    socket.on('error', (error) => { failure ??= error.message; });
    socket.on('close', () => {
      cut = !finishing && failure !== SILENT;
      resolve();
    });
  });
  const isOver = (): boolean => socket.destroyed || answer.includes('\0');

  /** Waits for what a living scanner does sooner or later. */
  async function patiently(event: Promise<unknown>): Promise<void> {
    const look = setInterval(() => { alive().catch(() => giveUp(SILENT)); }, times.lookMs);
    try { await Promise.race([event, over]); } finally { clearInterval(look); }
  }

  socket.write('zINSTREAM\0');
  return {
    async write(bytes) {
      if (isOver() || bytes.length === 0) return;
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(bytes.length);
      socket.cork();
      socket.write(length);
      const hasRoom = socket.write(bytes);
      socket.uncork();
      if (!hasRoom) await patiently(drained(socket));
    },
    async finish() {
      if (!isOver()) {
        finishing = true;
        socket.write(Buffer.alloc(4));
        const late = setTimeout(() => { giveUp('the scanner did not come to a verdict in time'); }, times.verdictMs);
        await patiently(over);
        clearTimeout(late);
      }
      socket.destroy();
      return readScanAnswer(answer, failure, cut);
    },
    close() { socket.destroy(); },
  };
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => { socket.once('drain', resolve); });
}
