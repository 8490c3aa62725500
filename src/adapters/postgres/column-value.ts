// What is written in the place of a value that is not recorded as it is.
import { createHmac } from 'node:crypto';
import type { ColumnTreatment } from '../../model/audited-columns.ts';

/** JSON text; `bytes` is the value in PostgreSQL's text form, null for NULL. An omitted column has no place to be written in. */
export function treatedJson(treatment: ColumnTreatment, bytes: Uint8Array | null): string {
  // Whether it was NULL would say something of it, too.
  if (treatment.mode !== 'hash') return '"[redacted]"';
  return bytes === null ? 'null' : `"hmac-sha256:${createHmac('sha256', treatment.key).update(bytes).digest('hex')}"`;
}
