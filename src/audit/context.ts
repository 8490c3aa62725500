// The open statements of one transaction: which of them a row belongs to (DESIGN §5, Who).

export interface OpenStatement {
  /** The table as the statement named it: root or leaf. */
  readonly relation: number;
  readonly operation: string;
  /** Canonical JSON. */
  readonly actor: string;
}

export interface StatementStack {
  /**
   * One that nothing encloses ends those inside others, and any before it on its table: nothing of theirs can still run. On
   * another table it may be a part of the same statement: WITH, TRUNCATE of several.
   */
  open(statement: OpenStatement, nested: boolean): void;
  /** Ends the innermost open statement of this relation and operation: cascades close in another order than they opened. */
  close(relation: number, operation: string): void;
  /** The innermost open statement on the row's table or a partitioned table above it. */
  ownerOf(relation: number, ancestors: readonly number[]): OpenStatement | undefined;
  /** Ends every open statement of this relation: nothing tells any more whose the rows are. */
  forget(relation: number): void;
  /** What the transaction says of itself as a whole, from here on. */
  begin(actor: string): void;
  readonly ofTransaction: string | undefined;
  clear(): void;
}

/** Deeper than PostgreSQL's own stack lets statements nest; anybody may call what opens one, so that the oldest are let go. */
const maxOpen = 10_000;

export function createStatementStack(): StatementStack {
  return new Stack();
}

class Stack implements StatementStack {
  #open: (OpenStatement & { readonly nested: boolean })[] = [];
  #ofTransaction: string | undefined;

  get ofTransaction(): string | undefined {
    return this.#ofTransaction;
  }

  open(statement: OpenStatement, nested: boolean): void {
    if (!nested) this.#endBefore(statement.relation);
    else if (this.#open.length >= maxOpen) this.#open.shift();
    this.#open.push({ ...statement, nested });
  }

  #endBefore(relation: number): void {
    if (this.#open.length > 0) this.#open = this.#open.filter((open) => !open.nested && open.relation !== relation);
  }

  close(relation: number, operation: string): void {
    const index = this.#open.findLastIndex((open) => open.relation === relation && open.operation === operation);
    if (index >= 0) this.#open.splice(index, 1);
  }

  ownerOf(relation: number, ancestors: readonly number[]): OpenStatement | undefined {
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const open = this.#open[index];
      if (open !== undefined && (open.relation === relation || ancestors.includes(open.relation))) return open;
    }
    return undefined;
  }

  forget(relation: number): void {
    for (let index = this.#open.length - 1; index >= 0; index--) if (this.#open[index]?.relation === relation) this.#open.splice(index, 1);
  }

  begin(actor: string): void {
    this.#ofTransaction = actor;
  }

  clear(): void {
    this.#open.length = 0;
    this.#ofTransaction = undefined;
  }
}
