// /files/[token]: what a signed URL lends is fetched with GET or HEAD, or sent with PUT, without a bearer token; POST ends an upload
// that went to the store itself.
import type { AdapterGroup } from './adapter-route.ts';
import { takeUpload } from './agreed-upload.ts';
import { FILE_ROWS } from './describe-files.ts';
import { downloadFile } from './file-download.ts';
import { identifyByGrant, type FileParts } from './file-parts.ts';
import { endDirectUpload } from './direct-upload.ts';
import { uploadFile } from './file-upload.ts';

/** No answer may be kept or tell its address to another; pages of every origin may show it. */
const HEADERS = { 'Cache-Control': 'private, no-store', 'Referrer-Policy': 'no-referrer', 'Cross-Origin-Resource-Policy': 'cross-origin' };

export function fileGroup(parts: FileParts): AdapterGroup {
  const identify = (request: Parameters<typeof identifyByGrant>[1]): ReturnType<typeof identifyByGrant> => identifyByGrant(parts, request);
  const take = takeUpload(parts);
  // What the owner may lend is asked by the interactions themselves, of the resource that the grant names.
  const shared = { path: '[token]', type: 'Binary' as const, access: { interaction: 'operation' as const }, identify };
  return {
    prefix: 'files',
    crossOrigin: true,
    secretPath: true,
    headers: HEADERS,
    routes: [
      { ...shared, method: 'GET', interaction: downloadFile(parts), says: FILE_ROWS.get },
      { ...shared, method: 'PUT', interaction: uploadFile(parts, take), says: FILE_ROWS.put },
      { ...shared, method: 'POST', interaction: endDirectUpload(parts, take), says: FILE_ROWS.post },
    ],
  };
}
