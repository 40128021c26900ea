// Bytes are scanned on the same pass that hashes them, and the verdict comes before they are published. What cannot be
// scanned is never called clean.
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import type { ScanAnswer, ScanSession } from './clamd.ts';
import type { Scanner, ScannerVersion } from './scanner.ts';

/** What the scanner says of a content that may be kept. */
export interface ScanResult {
  /** `unscanned`: the scanner was out of reach. `unscannable`: over its limits. */
  verdict: 'clean' | 'unscanned' | 'unscannable';
  engine: string | undefined;
  signatures: string | undefined;
  /** Why there is no verdict. */
  finding: string | undefined;
}

export interface ScanPolicy {
  /** Undefined: there is none. */
  scanner: Scanner | undefined;
  /** Bytes are kept only with a verdict. */
  required: boolean;
  /** Told each verdict, `infected` too. */
  onVerdict?: (verdict: ScanResult['verdict'] | 'infected') => void;
}

/** The scan of one content on its way in. */
export interface ContentScan {
  /** Hands the bytes on, and to the scanner; the slower of the two sets the pace. */
  pass(bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer>;
  /**
   * The verdict on all of them, after their end; `again` gives them once more, for a scan that broke off. Undefined where
   * nothing scans. Raises 422 `infected`, and 503 `unavailable` where a verdict is required and there is none.
   */
  result(size: number, again: () => Promise<AsyncIterable<Buffer>>): Promise<ScanResult | undefined>;
  /** Lets go of the scanner, whatever came. */
  close(): void;
}

function scannerGone(cause?: unknown): FhirError {
  return fhirError('unavailable', 'Bytes are kept here only once they are scanned for viruses, and the scanner is out of reach', { headers: { 'Retry-After': '30' }, ...(cause === undefined ? {} : { cause }) });
}

/** Nothing scans: the bytes pass as they are. */
const NO_SCAN: ContentScan = { pass: (bytes) => bytes, result: async () => undefined, close: () => undefined };

function unscanned(finding: string, version?: ScannerVersion): ScanResult {
  return { verdict: 'unscanned', engine: version?.engine, signatures: version?.signatures, finding };
}

const answers = (scanner: Scanner): Promise<boolean> => scanner.version().then(() => true, () => false);

/** The bytes to both sides; what is more than the scanner takes goes on alone. */
async function* tapped(bytes: AsyncIterable<Buffer>, session: ScanSession, bytesMax: number): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const piece of bytes) {
    seen += piece.length;
    if (seen > bytesMax) session.close(); else await session.write(piece);
    yield piece;
  }
}

/** `known` is the length, where it is told beforehand. Raises 503 `unavailable` before any byte was taken where the scanner is needed and gone. */
export async function startContentScan({ scanner, required, onVerdict }: ScanPolicy, known: number | undefined, inMemory: boolean): Promise<ContentScan> {
  if (scanner === undefined && required) throw fhirError('unavailable', 'Bytes are kept here only once they are scanned for viruses, and no scanner is configured', { headers: { 'Retry-After': '60' } });
  if (scanner === undefined) return NO_SCAN;
  let version: ScannerVersion;
  try {
    // Before the scan: signatures that change meanwhile make it count as done with the older ones.
    version = await scanner.version();
  } catch (error) {
    if (required) throw scannerGone(error);
    return { ...NO_SCAN, result: async () => { onVerdict?.('unscanned'); return unscanned((error as Error).message); } };
  }
  const session = inMemory || (known ?? 0) > scanner.bytesMax ? undefined : scanner.tap();
  let first: Promise<ScanAnswer> | undefined;

  async function answer(size: number, again: () => Promise<AsyncIterable<Buffer>>): Promise<ScanAnswer> {
    if (size > (scanner as Scanner).bytesMax) return { verdict: 'unscannable', reason: `over the ${(scanner as Scanner).bytesMax} bytes that the scanner takes` };
    let found = await first;
    session?.close();
    for (let tries = found === undefined ? 0 : 1; tries < 2 && (found === undefined || found.verdict === 'failed'); tries += 1) {
      if (found !== undefined && !await answers(scanner as Scanner)) return found;
      found = await (scanner as Scanner).scan(await again());
    }
    const last = found as ScanAnswer;
    // It closes on these bytes each time, and answers short questions: that is its limit, said without a word.
    return last.verdict === 'failed' && last.cut && await answers(scanner as Scanner) ? { verdict: 'unscannable', reason: 'the scanner closes before the end of the bytes' } : last;
  }

  return {
    async *pass(bytes) {
      if (session === undefined) { yield* bytes; return; }
      yield* tapped(bytes, session, scanner.bytesMax);
      // The scanner works while the store ends its own part.
      first = session.finish();
    },
    async result(size, again) {
      const found = await answer(size, again);
      if (found.verdict === 'failed') {
        if (required) throw scannerGone(new Error(found.reason));
        onVerdict?.('unscanned');
        return unscanned(found.reason, version);
      }
      onVerdict?.(found.verdict);
      if (found.verdict === 'infected') throw fhirError('infected', `The bytes hold a virus: ${found.signature.slice(0, 100)}`);
      return { verdict: found.verdict, ...version, finding: found.verdict === 'unscannable' ? found.reason : undefined };
    },
    close: () => session?.close(),
  };
}
