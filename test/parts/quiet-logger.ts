// A logger for tests: remembers what was said instead of printing it.
import type { Logger } from '../../src/ports/logger.ts';

export interface SaidLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export function quietLogger(said: SaidLine[] = []): Logger {
  const say = (level: SaidLine['level']) => (fields: object, message: string) => void said.push({ level, fields, message });
  const logger: Logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), child: () => logger };
  return logger;
}
