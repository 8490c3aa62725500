// Tells whether functions that we installed are still as we wrote them: a comment with their version stays when somebody replaces a body.
import { createHash } from 'node:crypto';
import { quoteLiteral } from './quote.ts';

/** Whether the pg_proc row has this body. */
export function sameBodySql(procedure: string, body: string): string {
  return `encode(sha256(convert_to(${procedure}.prosrc, 'UTF8')), 'hex') = ${quoteLiteral(createHash('sha256').update(body).digest('hex'))}`;
}

/** Whether each function that the statements create, its body between `$rowseal$`, has that body. Names say enough: none is overloaded. */
export function asCreatedSql(statements: readonly string[]): string {
  const bodies = statements.flatMap((statement) => {
    const [, name, body] = /^create or replace function rowseal\.(\w+)\(.*?\$rowseal\$(.*)\$rowseal\$/s.exec(statement) ?? [];
    return name === undefined || body === undefined ? [] : [{ name, body }];
  });
  const same = ({ name, body }: (typeof bodies)[number]) =>
    `exists (select from pg_catalog.pg_proc f where f.pronamespace = to_regnamespace('rowseal') and f.proname = ${quoteLiteral(name)} and ${sameBodySql('f', body)})`;
  return bodies.length === 0 ? 'true' : `(${bodies.map(same).join(' and ')})`;
}
