// The way to the API server: address, TLS and credentials from a kubeconfig or the Pod, and one shared agent each for requests and watches.
import type { RequestOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { describeError, RowsealError } from '../../model/errors.ts';

export interface KubeconfigSource {
  /** Path of a kubeconfig; KUBECONFIG, ~/.kube/config or the Pod's service account when left out. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface ConnectionLimits {
  /** A watch that stays silent for this long is taken for dead; bookmarks come about once a minute. */
  readonly watchIdleMs: number;
}

type TlsMaterial = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;

interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  readonly requests: Dispatcher;
  readonly watches: Dispatcher;
  readonly readAtMs: number;
}

/** Tokens and certificates are asked for again after this time; the library itself renews what has expired. */
const accessLifetimeMs = 10_000;
const connectTimeoutMs = 10_000;
const answerTimeoutMs = 30_000;
const requestConnections = 8;

export class Connection {
  /** Without a trailing slash. */
  readonly server: string;
  readonly #config: KubeConfig;
  readonly #limits: ConnectionLimits;
  #access: Access | undefined;
  #renewal: Promise<Access> | undefined;

  /** Throws BadUsage when there is no usable kubeconfig. */
  constructor(source: KubeconfigSource, limits: ConnectionLimits) {
    this.#config = loadConfig(source);
    this.#limits = limits;
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new RowsealError('BadUsage', 'the kubeconfig has no current cluster', { next: 'choose one with `kubectl config use-context`' });
    this.server = cluster.server.replace(/\/+$/, '');
  }

  /** Throws ClusterRefused when credentials cannot be had, for example because a plugin failed. */
  async access(): Promise<Access> {
    if (this.#access !== undefined && Date.now() - this.#access.readAtMs < accessLifetimeMs) return this.#access;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  /** After a 401: the next request asks for credentials again. */
  forgetAccess(): void {
    if (this.#access !== undefined) this.#access = { ...this.#access, readAtMs: Number.NEGATIVE_INFINITY };
  }

  async close(): Promise<void> {
    const access = this.#access;
    this.#access = undefined;
    await Promise.all([access?.requests.destroy(), access?.watches.destroy()]);
  }

  async #renew(): Promise<Access> {
    const { headers, tls } = await this.#readCredentials();
    const before = this.#access;
    if (before !== undefined && isDeepStrictEqual(before.tls, tls)) {
      this.#access = { ...before, headers, readAtMs: Date.now() };
      return this.#access;
    }
    this.#access = { headers, tls, requests: this.#agent(tls, 'requests'), watches: this.#agent(tls, 'watches'), readAtMs: Date.now() };
    // What is under way may end on the old certificate; nothing waits for it.
    for (const old of [before?.requests, before?.watches]) old?.close().catch(() => undefined);
    return this.#access;
  }

  async #readCredentials(): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly tls: TlsMaterial }> {
    const options: RequestOptions = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (error) {
      throw new RowsealError('ClusterRefused', `no credentials for the API server: ${describeError(error)}`, {
        object: this.server,
        next: 'check the user of the kubeconfig and its plugin',
        retryable: true,
        cause: error,
      });
    }
    const { ca, cert, key, servername, rejectUnauthorized, auth } = options;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) if (value !== undefined) headers[name.toLowerCase()] = String(value).trim();
    if (typeof auth === 'string') headers['authorization'] = `Basic ${Buffer.from(auth).toString('base64')}`;
    return { headers, tls: defined({ ca, cert, key, servername, rejectUnauthorized }) };
  }

  #agent(tls: TlsMaterial, use: 'requests' | 'watches'): Dispatcher {
    const limits = {
      allowH2: false,
      headersTimeout: answerTimeoutMs,
      bodyTimeout: use === 'watches' ? this.#limits.watchIdleMs : answerTimeoutMs,
      ...(use === 'watches' ? {} : { connections: requestConnections }),
    };
    const connect = { ...tls, timeout: connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: connectTimeoutMs };
    const proxyUrl = this.#config.getCurrentCluster()?.proxyUrl;
    if (proxyUrl === undefined) return new Agent({ ...limits, connect });
    if (!/^https?:/.test(proxyUrl)) {
      throw new RowsealError('BadUsage', 'the proxy of the kubeconfig is neither http nor https', { object: this.server, next: 'use an HTTP proxy' });
    }
    return new ProxyAgent({ uri: proxyUrl, ...limits, requestTls: connect });
  }
}

function loadConfig({ kubeconfig, context }: KubeconfigSource): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new RowsealError('BadUsage', `the kubeconfig cannot be read: ${describeError(error)}`, {
      ...(kubeconfig === undefined ? {} : { object: kubeconfig }),
      next: 'give a readable kubeconfig',
      cause: error,
    });
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw new RowsealError('BadUsage', `the kubeconfig has no context ${context}`, { next: 'see `kubectl config get-contexts`' });
    config.setCurrentContext(context);
  }
  return config;
}

function defined(material: { [Name in keyof TlsMaterial]: TlsMaterial[Name] | undefined }): TlsMaterial {
  return Object.fromEntries(Object.entries(material).filter(([, value]) => value !== undefined && value !== null));
}
