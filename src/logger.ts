// One line of JSON for each event. Secrets print as [secret]; headers and bodies are never logged.
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>;

/** Writes to standard error unless told where. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error', destination: DestinationStream = pino.destination({ dest: 2, sync: false })): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['authorization', '*.authorization', 'headers.authorization', 'token', '*.token'], censor: '[secret]' },
  }, destination);
}
