// Logs of the long-running verbs: JSON lines on stderr, with secrets struck out by name as a second line of defence.
import { pino } from 'pino';
import type { Logger } from '../ports/logger.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

const struckOut = ['password', 'signerKey', 'credentials', 'claims', 'uri', '*.password', '*.signerKey', '*.credentials', '*.claims', '*.uri'];

export function createLogger(level: (typeof logLevels)[number]): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: { paths: struckOut, censor: '[secret]' } }, destination);
}
