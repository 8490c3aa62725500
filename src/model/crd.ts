// The CustomResourceDefinition of a kind, as the API server takes it: a pure function of the kind's definition.
import { apiGroup, type KindDefinition } from './kinds.ts';

/** The definition as plain JSON, ready for YAML; the schema's TypeScript-only parts (`holds`, `keeps`) are gone. */
export function customResourceDefinition(definition: KindDefinition): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${definition.plural}.${apiGroup}` },
    spec: {
      group: apiGroup,
      scope: 'Namespaced',
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.singular,
        shortNames: [...definition.shortNames],
        categories: ['rowseal'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns.map(printerColumn),
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

function printerColumn(column: KindDefinition['columns'][number]): object {
  const { name, type, jsonPath, description, priority } = column;
  return { name, type, jsonPath, description, ...(priority === 0 ? {} : { priority }) };
}

function rootSchema(definition: KindDefinition): object {
  return {
    type: 'object',
    description: sentence(definition.spec),
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
      kind: { type: 'string', description: 'Kind of this object.' },
      metadata: { type: 'object' },
      spec: plainJson(definition.spec),
      status: plainJson(definition.status),
    },
  };
}

function sentence(schema: object): string {
  return 'description' in schema && typeof schema.description === 'string' ? schema.description : '';
}

/** JSON knows no functions, so that a round trip leaves exactly what the API server may see. */
function plainJson(schema: object): object {
  return JSON.parse(JSON.stringify(schema)) as object;
}
