// One batch of messages over one TLS connection (RFC 5425). Syslog has no answer to a message; what tells that all of them
// were read is the end of the connection: the receiver answers our close_notify with its own (4.4), and a receiver that
// leaves anything unread resets the connection instead.
import { readFile } from 'node:fs/promises';
import { connect, type ConnectionOptions } from 'node:tls';

export interface SyslogTarget {
  host: string;
  port: number;
  /** PEM files: whom we believe instead of the authorities that Node knows, our own certificate and its key. */
  ca: string | undefined;
  cert: string | undefined;
  key: string | undefined;
}

const SEND_MS_MAX = 25_000;

/** Files are read for each connection: a certificate that was renewed counts from the next one on. */
async function optionsOf({ ca, cert, host, key, port }: SyslogTarget): Promise<ConnectionOptions> {
  const read = (path: string | undefined): Promise<Buffer | undefined> => (path === undefined ? Promise.resolve(undefined) : readFile(path));
  const [authorities, certificate, secret] = await Promise.all([read(ca), read(cert), read(key)]);
  return {
    host, port, minVersion: 'TLSv1.2', servername: /^[\d.]+$|:/.test(host) ? '' : host,
    ...(authorities === undefined ? {} : { ca: authorities }), ...(certificate === undefined ? {} : { cert: certificate }), ...(secret === undefined ? {} : { key: secret }),
  };
}

/** Resolves when the receiver has read all of it; rejects where that is not known. */
export async function sendFrames(target: SyslogTarget, frames: readonly Buffer[]): Promise<void> {
  const options = await optionsOf(target);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(options);
    let ended = false;
    const timer = setTimeout(() => socket.destroy(new Error('The audit repository did not take the messages in time')), SEND_MS_MAX);
    socket.once('secureConnect', () => { socket.end(Buffer.concat(frames)); });
    // Nothing is expected but the end; what comes is read, so that the end is seen.
    socket.on('data', () => undefined);
    socket.once('end', () => { ended = socket.writableFinished; });
    let failure: Error | undefined;
    socket.once('error', (error: Error) => { failure = error; });
    socket.once('close', () => {
      clearTimeout(timer);
      if (failure === undefined && ended) resolve();
      else reject(failure ?? new Error('The audit repository ended the connection before it had read all messages'));
    });
  });
}
