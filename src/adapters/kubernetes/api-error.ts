// What an answer of the API server that is not a success means, as Rowseal's errors.
import { describeError, RowsealError } from '../../model/errors.ts';

/** What was asked, in the words of RBAC. */
export interface ApiCall {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'patch';
  /** Such as `rowpolicies.rowseal.dev` or `rowpolicies.rowseal.dev/status`. */
  readonly resource: string;
  /** `namespace/name` where one object is meant. */
  readonly object?: string;
}

/** ClusterRefused, ClusterConflict or ClusterUnreachable, with the server's own sentence. */
export function apiError(call: ApiCall, statusCode: number, body: unknown): RowsealError {
  const said = messageOf(body);
  const subject = `${call.verb} ${call.resource}${call.object === undefined ? '' : ` ${call.object}`}`;
  const object = call.object === undefined ? call.resource : `${call.resource} ${call.object}`;
  const message = `the API server answered ${statusCode} to ${subject}${said === '' ? '' : `: ${said}`}`;
  switch (statusCode) {
    case 401:
      return new RowsealError('ClusterRefused', message, { object, next: 'renew the credentials of the kubeconfig or the service account', retryable: true });
    case 403:
      return new RowsealError('ClusterRefused', message, { object, next: `allow \`${call.verb}\` on \`${call.resource}\` to Rowseal's service account` });
    case 404:
      return new RowsealError('ClusterRefused', message, { object, next: "apply Rowseal's crds/ to the cluster, if it is one of its kinds" });
    case 409:
      return new RowsealError('ClusterConflict', message, { object, next: 'nothing: it is tried again on the newest state', retryable: true });
    default:
      return statusCode === 429 || statusCode >= 500
        ? new RowsealError('ClusterUnreachable', message, { object, next: 'nothing: it is tried again', retryable: true })
        : new RowsealError('ClusterRefused', message, { object, next: 'report it: Rowseal sent what the API server does not accept' });
  }
}

export function unreachable(call: ApiCall, server: string, cause: unknown): RowsealError {
  return new RowsealError('ClusterUnreachable', `${call.verb} ${call.resource}: ${server} cannot be reached: ${describeError(cause)}`, {
    object: server,
    next: 'check the address in the kubeconfig, the network, and that the API server runs',
    retryable: true,
    cause,
  });
}

function messageOf(body: unknown): string {
  if (typeof body !== 'object' || body === null || !('message' in body)) return '';
  return typeof body.message === 'string' ? body.message.slice(0, 2000) : '';
}
