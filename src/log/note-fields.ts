// Fields that journal objects and digest records have in common; each has exactly one spelling.
import { RowsealError } from '../model/errors.ts';

/** A decimal number without leading zeros. Throws BadLogData. */
export function parseCount(text: string | undefined): number {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text))) throw badField('a number');
  return Number(text);
}

/** SHA-256 as lower-case hex. Throws BadLogData. */
export function parseHex(text: string | undefined): string {
  if (text === undefined || !/^[0-9a-f]{64}$/.test(text)) throw badField('a SHA-256 value in hex');
  return text;
}

/** RFC 3339 with milliseconds in UTC, as `Date.toISOString` writes it. Throws BadLogData. */
export function parseTime(text: string | undefined): string {
  const time = new Date(text ?? '');
  if (text === undefined || Number.isNaN(time.getTime()) || time.toISOString() !== text) throw badField('a time');
  return text;
}

function badField(what: string): RowsealError {
  return new RowsealError('BadLogData', `a line that should hold ${what} does not`);
}
