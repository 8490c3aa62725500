// Schemas that more than one kind uses: references, grants and conditions.
import { Type } from 'typebox';
import { entryName, integer, list, mapList, mapOf, objectName, oneOf, rules, text } from './build.ts';

export const secretRef = Type.Object(
  { name: objectName('Name of a Secret in the same namespace.') },
  { description: 'A Secret in the same namespace.' },
);

export const secretKeyRef = Type.Object(
  { name: objectName('Name of a Secret in the same namespace.'), key: text('Key inside the Secret.', 253) },
  { description: 'One key of a Secret in the same namespace.' },
);

type Reference = { name: string; namespace?: string };

/** A required, immutable reference to another Rowseal object; its parent carries the immutability rule. */
export function objectRef(kind: string) {
  return Type.Object(
    {
      name: objectName(`Name of the ${kind}.`),
      namespace: Type.Optional(objectName(`Namespace of the ${kind}; the object's own when left out.`)),
    },
    {
      description: `The ${kind} this object belongs to. It cannot be changed afterwards.`,
      ...rules({
        rule: 'self == oldSelf',
        message: `the reference to the ${kind} is immutable; delete and recreate the object instead`,
        keeps: (self: Reference, oldSelf: Reference) => self.name === oldSelf.name && self.namespace === oldSelf.namespace,
      }),
    },
  );
}

export const namespaceSelection = Type.Object(
  {
    from: oneOf(['Same', 'All', 'Selector'], 'Which namespaces the grant is for: the own one, every one, or those whose labels match `selector`.'),
    selector: Type.Optional(
      Type.Object(
        {
          matchLabels: mapOf(Type.String({ maxLength: 63 }), 'Labels that a namespace must carry, all of them.', 16),
        },
        { description: 'Selects namespaces by label; needed with `from: Selector` and refused otherwise.' },
      ),
    ),
  },
  {
    description: 'The namespaces whose objects the grant is for.',
    ...rules({
      rule: "(self.from == 'Selector') == has(self.selector)",
      message: 'selector goes with from: Selector, and only with it',
      holds: (self: { from: string; selector?: unknown }) => (self.from === 'Selector') === (self.selector !== undefined),
    }),
  },
);

export const logGrants = mapList(
  Type.Object(
    { name: entryName('Name of the grant.'), namespaces: namespaceSelection },
    { description: 'Lets AuditPolicies of other namespaces write to this log.' },
  ),
  'name',
  { description: 'Who else may write to this log; without any, only its own namespace.', maxItems: 32 },
);

const condition = Type.Object(
  {
    type: text('What the condition is about.', 316),
    status: oneOf(['True', 'False', 'Unknown'], 'Whether it holds.'),
    observedGeneration: Type.Optional(integer('The generation of the spec this was said of.', 0, Number.MAX_SAFE_INTEGER)),
    lastTransitionTime: Type.String({ format: 'date-time', description: 'When the status last changed.', maxLength: 64 }),
    reason: text('Why, as one CamelCase word.', 1024, { pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
    message: Type.String({ description: 'Why, in words, and what to do next.', maxLength: 32768 }),
  },
  { description: 'One aspect of the object, as in metav1.Condition.' },
);

export const conditions = Type.Optional(
  mapList(condition, 'type', { description: 'Ready always; Reconciling and Stalled as kstatus reads them; others by kind.', maxItems: 16 }),
);

export const observedGeneration = Type.Optional(
  integer('The generation of the spec that this status was computed from.', 0, Number.MAX_SAFE_INTEGER),
);

export function names(description: string, maxItems: number) {
  return list(Type.String({ minLength: 1, maxLength: 63 }), description, maxItems);
}
