// Intervals of manifests, such as `30 days`: one amount of one unit, so that two of a unit can be compared.
import { RowsealError } from '../model/errors.ts';
import type { Interval, IntervalUnit } from './predicate.ts';

const pattern = /^([0-9]{1,9}) (second|minute|hour|day|week|month|year)s?$/;

/** Roughly: an interval that left PostgreSQL's range of timestamps would be an error to every client. */
const secondsPerUnit: Readonly<Record<IntervalUnit, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800, month: 2_678_400, year: 31_622_400 };
const maxYears = 1000;

/** Throws BadPredicate for what is no interval, or longer than 1000 years. */
export function parseInterval(text: string, sign: Interval['sign']): Interval {
  const [, digits, unit] = pattern.exec(text) ?? [];
  if (digits === undefined || unit === undefined) throw refusal(`${JSON.stringify(text)} is no interval`);
  // The pattern admits the units alone.
  const interval: Interval = { sign, amount: Number(digits), unit: unit as IntervalUnit };
  if (interval.amount * secondsPerUnit[interval.unit] > maxYears * secondsPerUnit.year) throw refusal(`${text} is longer than ${maxYears} years`);
  return interval;
}

function refusal(message: string): RowsealError {
  return new RowsealError('BadPredicate', message, { next: 'write an amount and a unit, such as 30 days' });
}
