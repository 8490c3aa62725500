// Made-up rows of two made-up tenants, for witnesses that write: what each would insert under its own claims.
import type { CatalogColumn, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { type ClaimPlace, claimsOf, settingsWith } from './claims.ts';
import { columnOf, effectiveCheck } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import { actsQuietly } from './quiet-writes.ts';

export interface TenantRow {
  /** Column to the text of its value. */
  readonly row: Readonly<Record<string, string>>;
  /** The claims under which the policies let it be written. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The `given` columns hold the same in both rows. Undefined where policies ask more than one claim, or a column's value cannot be made up. */
export function rowsOfTwo(role: CatalogRole, table: CatalogRelation, given: Readonly<Record<string, string>>, landscape: Landscape): readonly [TenantRow, TenantRow] | undefined {
  if (!actsQuietly(table, 'Insert', landscape) || table.kind !== 'Table') return undefined;
  const asked = askedClaim(effectiveCheck(role, table, 'Insert', landscape), landscape);
  const tenantColumn = table.columns.find((column) => column.name === asked?.column);
  if (asked === undefined || tenantColumn === undefined) return undefined;
  const rest = table.columns.filter((column) => column.notNull && column.default === undefined && !column.identity && column.name !== asked.column && !(column.name in given));
  const made = rest.map((column) => [column.name, valueOf(column, 1)] as const);
  const [mine, theirs] = [valueOf(tenantColumn, 1), valueOf(tenantColumn, 2)];
  const referring = table.foreignKeys.some((key) => key.columns.some((name) => name === asked.column || rest.some((column) => column.name === name)));
  if (referring || mine === undefined || theirs === undefined || made.some(([, value]) => value === undefined)) return undefined;
  const rowFor = (tenant: string): TenantRow => ({
    row: { ...Object.fromEntries(made.map(([name, value]) => [name, value ?? ''])), ...given, [asked.column]: tenant },
    settings: settingsWith(asked.place, tenant),
  });
  return [rowFor(mine), rowFor(theirs)];
}

/** A value that nobody is likely to have; undefined for types that we make none up of. */
export function valueOf({ type }: CatalogColumn, which: 1 | 2): string | undefined {
  switch (type.replace(/\(.*\)/, '')) {
    case 'text':
    case 'character varying':
    case 'citext':
    case 'name':
      return `rs${which}`;
    case 'uuid':
      return `00000000-0000-4000-8000-00000000000${which}`;
    case 'smallint':
    case 'integer':
    case 'bigint':
    case 'numeric':
      return String(-which);
    case 'boolean':
      return 'false';
    case 'date':
    case 'timestamp with time zone':
    case 'timestamp without time zone':
      return '2000-01-01';
    case 'json':
    case 'jsonb':
      return '{}';
    default:
      return undefined;
  }
}

interface AskedClaim {
  readonly column: string;
  readonly place: ClaimPlace;
}

/** The one comparison `column = claim` that the condition consists of. */
function askedClaim(condition: Expression, landscape: Landscape): AskedClaim | undefined {
  if (condition.kind !== 'Operator' || condition.operator !== '=') return undefined;
  const [left, right] = condition.args;
  if (left === undefined || right === undefined) return undefined;
  const column = columnOf(left) ?? columnOf(right);
  const place = claimsOf(landscape).placeOf(columnOf(left) === undefined ? left : right);
  return column === undefined || place === undefined ? undefined : { column, place };
}
