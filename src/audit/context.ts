// The open statements of one transaction: which of them a row belongs to (DESIGN §5, Who).

export interface OpenStatement {
  /** The table as the statement named it: root or leaf. */
  readonly relation: number;
  readonly operation: string;
  /** Canonical JSON. */
  readonly actor: string;
}

export interface StatementStack {
  open(statement: OpenStatement): void;
  /** Ends the innermost open statement of this relation and operation: cascades close in another order than they opened. */
  close(relation: number, operation: string): void;
  /** The innermost open statement on the row's table or a partitioned table above it. */
  ownerOf(relation: number, ancestors: readonly number[]): OpenStatement | undefined;
  /** Ends every open statement of this relation: nothing tells any more whose the rows are. */
  forget(relation: number): void;
  clear(): void;
}

export function createStatementStack(): StatementStack {
  const stack: OpenStatement[] = [];
  return {
    open: (statement) => void stack.push(statement),
    close: (relation, operation) => {
      const index = stack.findLastIndex((open) => open.relation === relation && open.operation === operation);
      if (index >= 0) stack.splice(index, 1);
    },
    ownerOf: (relation, ancestors) => {
      for (let index = stack.length - 1; index >= 0; index--) {
        const open = stack[index];
        if (open !== undefined && (open.relation === relation || ancestors.includes(open.relation))) return open;
      }
      return undefined;
    },
    forget: (relation) => {
      for (let index = stack.length - 1; index >= 0; index--) if (stack[index]?.relation === relation) stack.splice(index, 1);
    },
    clear: () => void (stack.length = 0),
  };
}
