// Whether the API server makes sure that only approvers approve: the shipped ValidatingAdmissionPolicy and its binding, remembered for a short while.
import { apiError, type ApiCall } from './api-error.ts';
import { isRecord } from './api-object.ts';
import type { Client } from './client.ts';

const name = 'rowseal-approval';
const lifetimeMs = 30_000;
const collection = '/apis/admissionregistration.k8s.io/v1';

export class AdmissionGuard {
  readonly #client: Client;
  #remembered: { readonly missing: string | undefined; readonly readAtMs: number } | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** What is missing, in words; undefined when approvals are guarded. Throws ClusterUnreachable. */
  async missing(signal: AbortSignal): Promise<string | undefined> {
    if (this.#remembered !== undefined && Date.now() - this.#remembered.readAtMs < lifetimeMs) return this.#remembered.missing;
    const missing = await this.#look(signal);
    this.#remembered = { missing, readAtMs: Date.now() };
    return missing;
  }

  async #look(signal: AbortSignal): Promise<string | undefined> {
    const policy = await this.#read('validatingadmissionpolicies', signal);
    if (typeof policy === 'string') return policy;
    if (policy['failurePolicy'] !== undefined && policy['failurePolicy'] !== 'Fail') return `the ValidatingAdmissionPolicy ${name} has a failurePolicy other than Fail`;
    const binding = await this.#read('validatingadmissionpolicybindings', signal);
    if (typeof binding === 'string') return binding;
    const actions = Array.isArray(binding['validationActions']) ? binding['validationActions'] : [];
    if (binding['policyName'] !== name || !actions.includes('Deny')) return `the ValidatingAdmissionPolicyBinding ${name} does not deny for the policy of this name`;
    return 'matchResources' in binding ? `the ValidatingAdmissionPolicyBinding ${name} leaves objects out by matchResources` : undefined;
  }

  /** The spec, or why there is none. */
  async #read(resource: string, signal: AbortSignal): Promise<Record<string, unknown> | string> {
    const call: ApiCall = { verb: 'get', resource, object: name };
    const { statusCode, body } = await this.#client.send({ ...call, path: `${collection}/${resource}/${name}`, signal });
    if (statusCode === 404) return `there is no ${resource} ${name}`;
    if (statusCode === 403) return `the operator may not read ${resource} ${name}`;
    if (statusCode !== 200) throw apiError(call, statusCode, body);
    return isRecord(body) && isRecord(body['spec']) ? body['spec'] : `${resource} ${name} has no spec`;
  }
}
